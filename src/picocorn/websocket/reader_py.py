"""The reader of a client's WebSocket frames, pure Python: bytes in, whole messages out. Twin of `reader_c.pyx`.

Unmasks, reassembles, inflates, validates and bounds; what it may hold against a peer, and when, is in `verdicts.py`. Knows no
socket, no clock, and nothing of what is sent back.

The same bytes give the same events and the same verdict however they are split. Every byte is looked at a bounded number of
times, also when a message comes as half a million fragments of one byte; and memory is taken for what has come, never for what
a header declares.
"""

from __future__ import annotations

from codecs import utf_8_decode
from typing import TYPE_CHECKING

from ..base.errors import WebSocketError
from .opcodes import BINARY, CLOSE, CONTINUATION, NEED_DATA, NO_STATUS_RECEIVED, PING, PONG, TEXT, may_be_sent
from .verdicts import websocket_error

if TYPE_CHECKING:
    from .deflate import Inflater

__all__ = ["MessageReader"]

_FIN = 0x80
_RSV = 0x70
_RSV1 = 0x40
_OPCODE = 0x0F
_MASKED = 0x80
_LENGTH = 0x7F
_MAX_CONTROL_BYTES = 125
#: Unmasked at once. A MiB in one piece takes twice the time of one in pieces of this; a multiple of the mask.
_CACHED_BYTES = 32768
_OPCODES = frozenset((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))


def _first_byte_verdict(first: int, may_compress: bool, in_message: bool) -> str:
    """The first rule that the first byte of a frame breaks, or ""."""
    opcode = first & _OPCODE
    if first & _RSV and not (may_compress and first & _RSV == _RSV1 and opcode in (TEXT, BINARY)):
        return "RSV"
    if opcode not in _OPCODES:
        return "OPCODE"
    if opcode >= CLOSE:
        return "" if first & _FIN else "CONTROL_FRAGMENTED"
    if opcode == CONTINUATION:
        return "" if in_message else "CONTINUATION"
    return "INTERLEAVED" if in_message else ""


# One look-up for each frame: [may_compress][in_message][first byte].
_FIRST_BYTE_VERDICTS = tuple(
    tuple(tuple(_first_byte_verdict(first, may_compress, in_message) for first in range(256)) for in_message in (False, True))
    for may_compress in (False, True)
)


def _unmask(data: bytes | bytearray, mask: bytes) -> bytes:
    """`data` XOR `mask` repeated (RFC 6455 5.3), as one operation on two large integers, or a few on what fits the caches."""
    size = len(data)
    if size > _CACHED_BYTES:
        pieces = (data[at : at + _CACHED_BYTES] for at in range(0, size, _CACHED_BYTES))
        return b"".join([_unmask(piece, mask) for piece in pieces])
    mask_repeated = mask * (size >> 2) + mask[: size & 3]
    return (int.from_bytes(data, "little") ^ int.from_bytes(mask_repeated, "little")).to_bytes(size, "little")


class MessageReader:
    """Turns bytes into messages and control frames of one WebSocket.

    `max_size_bytes` bounds a message, reassembled and inflated; 0 means unlimited. Without `inflater` compressed messages are
    refused. After an event its attributes are set: `message` (str for TEXT, bytes for BINARY), `payload` (PING, PONG),
    `close_code` and `close_reason` (CLOSE; 1005 and "" when the frame had none). NEED_DATA lets message and payload go.
    """

    __slots__ = (
        "_buffer",
        "_closed",
        "_compressed",
        "_error",
        "_fin",
        "_first_byte_verdicts",
        "_gathered",
        "_in_frame",
        "_inflater",
        "_kind",
        "_left",
        "_looked_at",
        "_mask",
        "_max_size_bytes",
        "_opcode",
        "_pos",
        "_undecided",
        "close_code",
        "close_reason",
        "message",
        "payload",
    )

    message: str | bytes
    payload: bytes
    close_code: int
    close_reason: str

    def __init__(self, max_size_bytes: int, inflater: Inflater | None) -> None:
        self.message = b""
        self.payload = b""
        self.close_code = NO_STATUS_RECEIVED
        self.close_reason = ""
        self._max_size_bytes = max_size_bytes
        self._inflater = inflater
        self._buffer: bytes | bytearray = b""
        self._pos = 0  # first byte that has not been parsed
        self._looked_at = 0  # bytes from there on that are the beginning of a header or of a control frame
        self._error = ""
        self._closed = False
        # The frame whose payload is being read.
        self._in_frame = False
        self._opcode = 0
        self._fin = False
        self._left = 0  # bytes of payload still to come
        self._mask = b""  # turned so that it begins with the next of them
        # The message whose last frame has not come to its end.
        self._kind = 0  # TEXT or BINARY, 0 between messages
        self._compressed = False
        self._gathered = bytearray()
        self._undecided = b""  # the beginning of a character at the end of what was gathered of a text
        self._first_byte_verdicts = _FIRST_BYTE_VERDICTS[inflater is not None]

    # -- bytes in ------------------------------------------------------------------------------------------------------

    def buffered_bytes(self) -> int:
        """Bytes fed that `next_event` has not looked at: what stands behind the last event. 0 after NEED_DATA."""
        return len(self._buffer) - self._pos - self._looked_at

    def mid_message(self) -> bool:
        """Whether a message or a frame has begun and has not come to its end."""
        return self._kind != 0 or self._in_frame or self._pos < len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Keep `data` for `next_event`. Parses nothing; copies nothing while the buffer is empty."""
        if self._closed or self._error:
            return
        if self._pos == len(self._buffer):
            self._buffer = data
            self._pos = 0
            return
        self._compact()
        if isinstance(self._buffer, bytes):
            # A growable buffer from the second piece on, or one-byte pieces would cost their square.
            self._buffer = bytearray(self._buffer)
        self._buffer += data

    # -- events out ----------------------------------------------------------------------------------------------------

    def next_event(self) -> int:
        """TEXT, BINARY, PING, PONG or CLOSE; NEED_DATA when bytes are missing, and always after CLOSE.

        Raises WebSocketError when the peer broke a rule, and from then on at every call.
        """
        if self._error:
            raise websocket_error(self._error)
        self._looked_at = 0
        try:
            while True:
                if not self._in_frame and not self._read_header():
                    return self._wait()
                event = self._read_control() if self._opcode >= CLOSE else self._read_data()
                if event != NEED_DATA:
                    return event
                if self._in_frame:
                    return self._wait()
        except WebSocketError as error:
            self._error = error.code
            self._stop()
            raise
        except MemoryError:
            # Bytes of a frame are lost, and what stands behind them is no header: this cannot be gone on with.
            self._error = "TOO_BIG"
            self._stop()
            raise

    def _wait(self) -> int:
        self.message = self.payload = b""
        # A rest of a few bytes must not keep a large piece alive while the connection is idle.
        self._compact()
        self._looked_at = len(self._buffer)
        return NEED_DATA

    def _stop(self) -> None:
        self.message = self.payload = self._buffer = self._undecided = b""
        self._gathered = bytearray()
        self._pos = self._looked_at = self._kind = 0
        self._in_frame = False

    def _compact(self) -> None:
        pos = self._pos
        if pos:
            if pos == len(self._buffer):
                self._buffer = b""
            elif isinstance(self._buffer, bytes):
                self._buffer = self._buffer[pos:]
            else:
                del self._buffer[:pos]
            self._pos = 0

    # -- the header of a frame -----------------------------------------------------------------------------------------

    def _read_header(self) -> bool:
        """Take in the next header; False while it has not come as a whole. Every byte of it is judged as it comes."""
        buffer, pos = self._buffer, self._pos
        have = len(buffer) - pos
        if have == 0:
            return False
        first = buffer[pos]
        if verdict := self._first_byte_verdicts[self._kind != 0][first]:
            raise websocket_error(verdict)
        if have == 1:
            return False
        opcode = first & _OPCODE
        length = buffer[pos + 1] & _LENGTH
        if not buffer[pos + 1] & _MASKED:
            raise websocket_error("MASK")
        if opcode >= CLOSE and length > _MAX_CONTROL_BYTES:
            raise websocket_error("CONTROL_LENGTH")
        at = pos + 2
        if length > 125:
            at += 2 if length == 126 else 8
            if have < at - pos:
                return False
            minimum = 126 if length == 126 else 1 << 16
            length = int.from_bytes(buffer[pos + 2 : at], "big")
            if length < minimum or length >> 63:
                raise websocket_error("LENGTH")
        if opcode < CLOSE:
            self._judge_size(first, length)
        if have < at - pos + 4:
            return False
        if opcode in (TEXT, BINARY):
            self._kind = opcode
            self._compressed = first & _RSV1 != 0
        self._in_frame = True
        self._opcode = opcode
        self._fin = first & _FIN != 0
        self._left = length
        self._mask = bytes(buffer[at : at + 4])
        self._pos = at + 4
        return True

    def _judge_size(self, first: int, length: int) -> None:
        # Compressed bytes say nothing about the size: the inflater bounds what comes out of them.
        compressed = first & _RSV1 or (self._kind and self._compressed)
        if not compressed and length > self._max_size_bytes - len(self._gathered) and self._max_size_bytes:
            raise websocket_error("TOO_BIG")

    # -- its payload ---------------------------------------------------------------------------------------------------

    def _read_control(self) -> int:
        buffer, pos = self._buffer, self._pos
        end = pos + self._left
        if len(buffer) < end:
            return NEED_DATA
        payload = _unmask(buffer[pos:end], self._mask)
        self._pos = end
        self._in_frame = False
        if self._opcode == CLOSE:
            self._read_close(payload)
        else:
            self.payload = payload
        return self._opcode

    def _read_close(self, payload: bytes) -> None:
        if payload:
            if len(payload) == 1:
                raise websocket_error("CLOSE_LENGTH")
            code = int.from_bytes(payload[:2], "big")
            if not may_be_sent(code):
                raise websocket_error("CLOSE_CODE")
            try:
                self.close_reason = payload[2:].decode()
            except UnicodeDecodeError:
                raise websocket_error("CLOSE_UTF8") from None
            self.close_code = code
        # RFC 6455 5.5.1: nothing follows a close frame, so whatever does is not looked at.
        self._closed = True
        self._stop()

    def _read_data(self) -> int:
        """Take in what has come of a data frame; TEXT or BINARY when that completes the message."""
        buffer, pos = self._buffer, self._pos
        left = self._left
        size = len(buffer) - pos
        if size < left:
            if size == 0:
                return NEED_DATA
            piece = _unmask(buffer[pos:] if pos else buffer, self._mask)
            turn = size & 3
            self._mask = self._mask[turn:] + self._mask[:turn]
            self._left = left - size
            self._pos = pos + size
            self._gather(piece)
            return NEED_DATA
        piece = _unmask(buffer[pos : pos + left], self._mask)
        self._pos = pos + left
        self._in_frame = False
        if self._fin:
            return self._finish_message(piece)
        self._gather(piece)
        return NEED_DATA

    def _gather(self, piece: bytes) -> None:
        """Add a piece that is not the last of its message."""
        if self._compressed:
            piece = self._inflate(piece, False)
        elif self._kind == TEXT:
            self._judge_text(piece)
        self._gathered += piece

    def _finish_message(self, piece: bytes) -> int:
        whole: bytes | bytearray = piece
        if self._compressed:
            whole = self._inflate(piece, True)
        if self._gathered:
            self._gathered += whole
            whole, self._gathered = self._gathered, bytearray()
        kind, self._kind = self._kind, 0
        self._undecided = b""
        if kind == TEXT:
            try:
                self.message = whole.decode()
            except UnicodeDecodeError:
                raise websocket_error("TEXT_UTF8") from None
        else:
            self.message = whole if isinstance(whole, bytes) else bytes(whole)
        return kind

    def _inflate(self, piece: bytes, final: bool) -> bytes:
        assert self._inflater is not None  # or RSV1 would have been refused
        room = self._max_size_bytes - len(self._gathered) if self._max_size_bytes else -1
        return self._inflater.inflate(piece, final, room)

    def _judge_text(self, piece: bytes) -> None:
        """Fail at the first byte after which a text cannot be UTF-8 any more. Its characters are made when it is whole."""
        if self._undecided:
            piece = self._undecided + piece
        elif piece.isascii():
            return
        try:
            _, used = utf_8_decode(piece, "strict", False)
        except UnicodeDecodeError:
            raise websocket_error("TEXT_UTF8") from None
        undecided = self._undecided = piece[used:]
        # Python waits for the third byte of a surrogate, which an error handler could let pass (bpo-24214).
        if len(undecided) == 2 and undecided >= b"\xed\xa0" and undecided[0] == 0xED:
            raise websocket_error("TEXT_UTF8")
