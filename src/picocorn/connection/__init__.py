"""One connection: wires, transports and ASGI cycles joined; timers, flow control, access log."""
