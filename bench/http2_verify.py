"""Are the answers over HTTP/2 and TLS right? Asks once with curl, whatever the version, and compares what came.

Knows nothing of servers and processes.
"""
