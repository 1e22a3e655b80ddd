"""The server's side of one WebSocket without I/O: bytes in, messages out; messages in, bytes out (RFC 6455, RFC 7692).

When a message is compressed and what may follow a close frame live here. Knows no asyncio, no ASGI, no handshake and no clock;
how frames are read and written is the reader's and the writer's business. Works on any byte stream (HTTP/1.1 after an Upgrade,
a stream of HTTP/2). The text is compiled a second time as `connection_c`.
"""

from __future__ import annotations

from ..base.errors import LocalProtocolError
from ..base.limits import WebSocketLimits
from .deflate import DEFLATE_THRESHOLD_BYTES, DeflateParameters, Deflater, Inflater
from .opcodes import BINARY, CLOSE, NEED_DATA, NO_STATUS_RECEIVED, PING, PONG, TEXT
from .reader_py import MessageReader
from .writer_py import encode_close, encode_frame, encode_text

__all__ = ["WebSocketConnection"]

#: RFC 6455 5.5.
MAX_CONTROL_BYTES = 125


class WebSocketConnection:
    """Messages and control frames of one open WebSocket.

    `next_event()` as in the reader, whose attributes after an event are here too: `message`, `payload`, `close_code`,
    `close_reason`. Nothing is answered here: pings and the close frame are reported, and data that comes after our own close
    frame as well. `close_sent` and `close_received` tell how far the close handshake is.
    """

    __slots__ = (
        "_deflater",
        "_reader",
        "close_code",
        "close_reason",
        "close_received",
        "close_sent",
        "message",
        "payload",
    )

    def __init__(self, limits: WebSocketLimits, deflate: DeflateParameters | None) -> None:
        self._reader = MessageReader(limits.max_size_bytes, None if deflate is None else Inflater(deflate))
        self._deflater = None if deflate is None else Deflater(deflate)
        self.message: str | bytes = b""
        self.payload = b""
        self.close_code = NO_STATUS_RECEIVED
        self.close_reason = ""
        self.close_sent = False
        self.close_received = False

    # -- bytes in, events out

    def feed(self, data: bytes) -> None:
        """Keep `data` for `next_event`; dropped once the peer's close frame has come."""
        self._reader.feed(data)

    def next_event(self) -> int:
        """TEXT, BINARY, PING, PONG or CLOSE; NEED_DATA when bytes are missing, and always after CLOSE.

        Raises WebSocketError, whose code and reason are what to close with, and from then on at every call.
        """
        reader = self._reader
        event = reader.next_event()
        if event == NEED_DATA:
            # Whoever wanted them has them: a large message must not stay while the connection is idle.
            self.message = self.payload = b""
        elif event in (TEXT, BINARY):
            self.message = reader.message
        elif event == CLOSE:
            self.close_received = True
            self.close_code = reader.close_code
            self.close_reason = reader.close_reason
        else:
            self.payload = reader.payload
        return event

    def buffered_bytes(self) -> int:
        """Bytes fed that `next_event` has not looked at: what stands behind the last event. 0 after NEED_DATA."""
        return self._reader.buffered_bytes()

    def mid_message(self) -> bool:
        """Whether a message or a frame has begun and has not come to its end."""
        return self._reader.mid_message()

    # -- messages in, bytes out

    def send_message(self, data: str | bytes) -> list[bytes]:
        """A text (str) or binary (bytes) message, compressed where that was agreed on and is worth it.

        Raises LocalProtocolError after `send_close` (RFC 6455 5.5.1) and for lone surrogates.
        """
        if self.close_sent:
            raise LocalProtocolError("message after the close frame (RFC 6455 5.5.1)")
        deflater = self._deflater
        if deflater is None or len(data) < DEFLATE_THRESHOLD_BYTES:
            return encode_text(data) if isinstance(data, str) else encode_frame(BINARY, data)
        if isinstance(data, str):
            return encode_frame(TEXT, deflater.deflate(_utf8(data)), True)
        return encode_frame(BINARY, deflater.deflate(data), True)

    def send_ping(self, payload: bytes) -> bytes:
        """A ping. Raises LocalProtocolError for more than 125 bytes (RFC 6455 5.5)."""
        return _control(PING, payload)

    def send_pong(self, payload: bytes) -> bytes:
        """A pong, in answer to a ping of that payload (RFC 6455 5.5.3). Raises LocalProtocolError for more than 125 bytes."""
        return _control(PONG, payload)

    def send_close(self, code: int, reason: str) -> bytes:
        """The close frame, b"" when it was sent before. 1005 stands for one without code and reason.

        To answer the peer's, send its `close_code` and `close_reason` back. Raises LocalProtocolError for a code that may not
        be sent (RFC 6455 7.4).
        """
        if self.close_sent:
            return b""
        frame = encode_close(code, reason)
        self.close_sent = True
        return frame


def _control(opcode: int, payload: bytes) -> bytes:
    if len(payload) > MAX_CONTROL_BYTES:
        raise LocalProtocolError(f"a control frame holds {MAX_CONTROL_BYTES} bytes (RFC 6455 5.5), not {len(payload)}")
    return encode_frame(opcode, payload)[0]


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"text message has a lone surrogate at {error.start}: it is no UTF-8 (RFC 6455 8.1)") from None
