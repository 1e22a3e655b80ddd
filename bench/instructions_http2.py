"""The HTTP/2 of recorded conversations: requests of a client that knows beforehand, in frames made before any is counted.

Knows the frames of RFC 9113 and as much of RFC 7541 as one request takes; no engine, and no transport.
"""

from __future__ import annotations

from collections.abc import Iterator

from picocorn.http2 import codes

__all__ = ["OPENING", "STREAMS", "check", "pieces"]

#: Requests in one piece, each on a stream of its own. With all connections they divide the requests of a run.
STREAMS = 10

#: RFC 7541, appendix A: indexes of the static table.
_GET, _SLASH, _HTTP, _AUTHORITY, _ACCEPT, _USER_AGENT = 2, 4, 6, 1, 19, 58
#: The first that a client puts into the dynamic table; what comes later moves it up.
_DYNAMIC = 62


def _indexed(index: int) -> bytes:
    """A field that is in a table (RFC 7541 6.1)."""
    return bytes((0x80 | index,))


def _remembered(index: int, value: bytes) -> bytes:
    """A field whose name is in the static table, to be put into the dynamic one (RFC 7541 6.2.1)."""
    return bytes((0x40 | index, len(value))) + value


def _frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream_id.to_bytes(4, "big") + payload


def _request(stream_id: int, block: bytes) -> bytes:
    return _frame(codes.HEADERS, codes.END_HEADERS | codes.END_STREAM, stream_id, block)


_PSEUDO_FIELDS = _indexed(_GET) + _indexed(_HTTP) + _indexed(_SLASH)
_FIRST_BLOCK = (
    _PSEUDO_FIELDS
    + _remembered(_AUTHORITY, b"127.0.0.1:8000")
    + _remembered(_USER_AGENT, b"h2load nghttp2/1.52.0")
    + _remembered(_ACCEPT, b"*/*")
)
#: The same fields, all of them in the tables by then.
_BLOCK = _PSEUDO_FIELDS + _indexed(_DYNAMIC + 2) + _indexed(_DYNAMIC + 1) + _indexed(_DYNAMIC)

#: All that a client says before its second request: settings, the acknowledgement of the server's, its first request.
OPENING = (
    codes.CONNECTION_PREFACE
    + _frame(codes.SETTINGS, 0, 0, b"")
    + _frame(codes.SETTINGS, codes.ACK, 0, b"")
    + _request(1, _FIRST_BLOCK)
)


def pieces(count: int) -> Iterator[bytes]:
    """`count` pieces of `STREAMS` requests each, all of them made before the first is given out."""
    requests = [_request(3 + 2 * number, _BLOCK) for number in range(count * STREAMS)]
    return iter([b"".join(requests[at : at + STREAMS]) for at in range(0, len(requests), STREAMS)])


def check(answer: bytes, content: bytes) -> None:
    """Raises SystemExit unless `answer` is status 200 and `content` for each request of the first piece."""
    heads, contents = [], []
    at = 0
    while at < len(answer):
        length, kind, flags = int.from_bytes(answer[at : at + 3], "big"), answer[at + 3], answer[at + 4]
        payload = answer[at + 9 : at + 9 + length]
        stream_id = int.from_bytes(answer[at + 5 : at + 9], "big")
        # Index 8 of the static table is status 200.
        if kind == codes.HEADERS and payload[:1] == _indexed(8):
            heads.append(stream_id)
        elif kind == codes.DATA and flags & codes.END_STREAM and payload == content:
            contents.append(stream_id)
        else:
            break
        at += 9 + length
    asked = [3 + 2 * number for number in range(STREAMS)]
    if (at, heads, contents) != (len(answer), asked, asked):
        raise SystemExit(f"wrong answer: {answer!r}")
