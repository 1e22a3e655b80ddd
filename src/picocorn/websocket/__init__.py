"""WebSocket as bytes <-> messages (RFC 6455, RFC 7692), on whatever carries the bytes. Knows no asyncio and no ASGI."""
