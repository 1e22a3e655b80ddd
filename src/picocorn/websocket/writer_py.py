"""The writer of a server's WebSocket frames, pure Python: messages in, bytes out. Twin of `writer_c.pyx`.

Mechanism only: one frame for each message, never masked (RFC 6455 5.1), never fragmented. What may be sent when is policy and
lives in `connection_py.py`. Knows no socket.
"""

from __future__ import annotations

from ..base.errors import LocalProtocolError
from .opcodes import CLOSE, NO_STATUS_RECEIVED, TEXT, may_be_sent

__all__ = ["encode_close", "encode_frame", "encode_text"]

_FIN = 0x80
_RSV1 = 0x40
#: A close frame holds 125 bytes (RFC 6455 5.5), two of which are the code.
_MAX_REASON_BYTES = 123
#: A payload below this is copied behind its head, so that both are one buffer; above, copying costs more than a second buffer.
_JOIN_BYTES = 32768


def encode_frame(opcode: int, payload: bytes, compressed: bool = False) -> list[bytes]:
    """One whole frame as bytes objects to send in order. `compressed` sets RSV1 (RFC 7692 6)."""
    first = _FIN | opcode | (_RSV1 if compressed else 0)
    size = len(payload)
    if size < 126:
        return [b"%c%c%b" % (first, size, payload)]
    if size < _JOIN_BYTES:
        return [b"%c\x7e%b%b" % (first, size.to_bytes(2, "big"), payload)]
    if size < 65536:
        return [b"%c\x7e%b" % (first, size.to_bytes(2, "big")), payload]
    return [b"%c\x7f%b" % (first, size.to_bytes(8, "big")), payload]


def encode_text(text: str) -> list[bytes]:
    """A text message, not compressed, as `encode_frame` does. Raises LocalProtocolError for lone surrogates."""
    return encode_frame(TEXT, _encode(text, "text message"))


def encode_close(code: int, reason: str) -> bytes:
    """A close frame; 1005 stands for one without code and reason (RFC 6455 7.1.5).

    Of a reason of more than 123 bytes as many whole characters are sent as fit. Raises LocalProtocolError for a code that may
    not be sent (RFC 6455 7.4) and for lone surrogates.
    """
    data = _encode(reason, "close reason")
    if code == NO_STATUS_RECEIVED:
        return b"%c\x00" % (_FIN | CLOSE)
    if not may_be_sent(code):
        raise LocalProtocolError(f"close code may not be sent (RFC 6455 7.4): {code!r}")
    if len(data) > _MAX_REASON_BYTES:
        # All that is left out is at the end, so this drops a character that was cut and nothing else.
        data = data[:_MAX_REASON_BYTES].decode("utf-8", "ignore").encode()
    return b"%c%c%b%b" % (_FIN | CLOSE, 2 + len(data), code.to_bytes(2, "big"), data)


def _encode(text: str, what: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"{what} has a lone surrogate at {error.start}: it is no UTF-8 (RFC 6455 8.1)") from None
