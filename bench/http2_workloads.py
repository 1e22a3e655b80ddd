"""What the servers are asked to do over HTTP/2 and TLS: the rows of results of their own. Data; knows no server."""
