"""HTTP/1.1 as bytes <-> events (RFC 9110, RFC 9112). Knows no asyncio and no ASGI."""
