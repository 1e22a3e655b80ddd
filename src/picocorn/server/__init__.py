"""The process: settings, listening sockets, event loop, signals, the server object. Knows no command line."""
