"""What a request's head says, for every version of HTTP. Data only; who fills it in is a codec's business.

Pure body; its twin is `request_head_c.pyx`.
"""

from __future__ import annotations

__all__ = ["RequestHead"]


class RequestHead:
    """One request head, as sent, with the framing decision. Read-only by agreement; `headers` belongs to the caller.

    `content_length` is -1 when there is none. `keep_alive` is False for HTTP/1.0 and after `Connection: close`.
    `expect_continue` is True when the client waits for 100 (RFC 9110 10.1.1). `upgrade` is the Upgrade field's value when
    Connection names it, else b"" (RFC 9110 7.8). `forwarded` is True when there is an X-Forwarded-For or -Proto field.
    Of HTTP/2, `target` is the `:path`; `chunked` is False and `keep_alive` True.
    """

    __slots__ = (
        "chunked",
        "content_length",
        "expect_continue",
        "forwarded",
        "headers",
        "http_version",
        "keep_alive",
        "method",
        "query_string",
        "raw_path",
        "target",
        "upgrade",
    )

    method: str
    target: bytes
    raw_path: bytes
    query_string: bytes
    http_version: str
    headers: list[tuple[bytes, bytes]]
    content_length: int
    chunked: bool
    keep_alive: bool
    expect_continue: bool
    upgrade: bytes
    forwarded: bool
