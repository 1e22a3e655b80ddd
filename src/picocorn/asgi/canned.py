"""The answers the server gives in its own name, each written once. No wire format: head and body as ASGI has them."""

from __future__ import annotations

from http import HTTPStatus

__all__ = ["canned_response", "health_response"]

#: uvicorn's texts, which clients and tests of its users compare with.
_TEXTS = {
    400: b"Invalid HTTP request received.",
    403: b"",
    500: b"Internal Server Error",
    503: b"Service Unavailable",
}


def canned_response(status: int, detail: str = "") -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return (status, headers, body) of a plain-text answer that ends the connection.

    `detail` (str) says what was wrong; it becomes the body for statuses that have no fixed text.
    """
    body = _TEXTS.get(status)
    if body is None:
        body = (detail or HTTPStatus(status).phrase).encode("utf-8")
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
    ]
    if status == 426:
        # RFC 6455 4.4 and RFC 9110 15.5.22, 7.8.
        headers += (b"sec-websocket-version", b"13"), (b"upgrade", b"websocket"), (b"connection", b"close, upgrade")
    else:
        headers.append((b"connection", b"close"))
    return status, headers, body


def _health_response(status: int, body: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"content-length", b"%d" % len(body)),
    ]
    return status, headers, body


_HEALTHY = _health_response(200, b"ok")
_DRAINING = _health_response(503, b"draining")


def health_response(draining: bool) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return (status, headers, body) of the answer to a health check: 200, or 503 of a server that will soon be gone."""
    return _DRAINING if draining else _HEALTHY
