"""Bytes in and out of sockets: the native poller, and asyncio's transports behind the same face."""
