"""Request bytes as clients really send them, for the micro-benchmarks. Knows no parser and no server.

Each is what the client puts on the wire, CRLFs and all; `TRAFFIC` names them, `REQUESTS` says how many requests each holds.
"""

from __future__ import annotations

__all__ = [
    "API_GET",
    "BROWSER_GET",
    "CHUNKED_POST",
    "PIPELINED_16",
    "POST_1_KIB",
    "RAW_GET",
    "REQUESTS",
    "TRAFFIC",
    "WEBSOCKET_HANDSHAKE",
    "WEBSOCKET_TEXT",
    "WEBSOCKET_TEXT_64",
    "browser_get",
]


def _head(*lines: str) -> bytes:
    return "\r\n".join((*lines, "", "")).encode("ascii")


def browser_get(path: str = "/articles/2026?page=2&sort=desc", session: str = "0123456789abcdef0123456789abcdef") -> bytes:
    """A page view by a desktop browser: 12 fields, about 700 bytes."""
    return _head(
        f"GET {path} HTTP/1.1",
        "Host: www.example.org",
        "Connection: keep-alive",
        'sec-ch-ua: "Chromium";v="126", "Not/A)Brand";v="8"',
        "sec-ch-ua-mobile: ?0",
        'sec-ch-ua-platform: "Linux"',
        "Upgrade-Insecure-Requests: 1",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
        "Sec-Fetch-Site: same-origin",
        "Accept-Encoding: gzip, deflate, br, zstd",
        "Accept-Language: en-GB,en;q=0.9",
        f"Cookie: session={session}; theme=dark",
    )


#: What load generators send.
RAW_GET = _head("GET / HTTP/1.1", "Host: 127.0.0.1:8000")

BROWSER_GET = browser_get()

API_GET = _head(
    "GET /api/v1/items/4711 HTTP/1.1",
    "Host: api.example.org",
    "Accept: application/json",
    "Accept-Encoding: gzip, deflate",
    "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0NzExIn0.dGhpcyBpcyBub3QgYSBzaWduYXR1cmU",
    "User-Agent: python-httpx/0.28.1",
    "X-Request-ID: 7b1c2a3d-5b0e-4c53-9a53-1f2f8d3f6a10",
)

POST_1_KIB = (
    _head(
        "POST /api/v1/items HTTP/1.1",
        "Host: api.example.org",
        "User-Agent: python-httpx/0.28.1",
        "Accept: */*",
        "Content-Type: application/json",
        "Content-Length: 1024",
    )
    + b'{"text": "' + b"x" * 1012 + b'"}'
)  # fmt: skip

CHUNKED_POST = (
    _head(
        "POST /upload HTTP/1.1",
        "Host: api.example.org",
        "User-Agent: curl/8.9.1",
        "Accept: */*",
        "Content-Type: application/octet-stream",
        "Transfer-Encoding: chunked",
    )
    + b"200\r\n" + b"x" * 512 + b"\r\n" + b"100\r\n" + b"y" * 256 + b"\r\n" + b"100\r\n" + b"z" * 256 + b"\r\n0\r\n\r\n"
)  # fmt: skip

PIPELINED_16 = RAW_GET * 16

#: The key of RFC 6455, 1.3.
WEBSOCKET_HANDSHAKE = _head(
    "GET /chat HTTP/1.1",
    "Host: www.example.org",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    "Origin: https://www.example.org",
)

WEBSOCKET_TEXT = b'{"channel": "news", "id": 4711, "text": "The quick brown fox ..."}'[:64]

#: A text message of 64 bytes, masked as a client has to.
_MASK = b"\x37\xfa\x21\x3d"
WEBSOCKET_TEXT_64 = b"\x81\xc0" + _MASK + bytes(byte ^ _MASK[at % 4] for at, byte in enumerate(WEBSOCKET_TEXT))

TRAFFIC = {
    "raw-get": RAW_GET,
    "api-get": API_GET,
    "browser-get": BROWSER_GET,
    "post-1-kib": POST_1_KIB,
    "post-chunked": CHUNKED_POST,
    "pipelined-16": PIPELINED_16,
}

#: How many requests each piece of traffic holds.
REQUESTS = {name: 16 if name == "pipelined-16" else 1 for name in TRAFFIC}
