"""HTTP/2 as bytes <-> calls (RFC 9113, 7541, 8441, 9218): two engines behind one interface. Knows no asyncio and no ASGI."""
