"""permessage-deflate (RFC 7692): what is agreed on in the handshake, and zlib on either side of it.

Knows no frames: the reader and the connection know when a message is compressed.

Memory of one connection, measured with zlib 1.2.13: nothing before the first compressed message of either direction. Then 33 to
39 KB for what we compress, and for what we inflate 7 to 13 KB where the client lets us limit its window to 12 bits, as browsers
do; 11 to 41 KB where it does not. Nothing is kept between messages in a direction without context takeover.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from .extensions import parse_extensions
from .verdicts import websocket_error

__all__ = ["DEFLATE_THRESHOLD_BYTES", "DeflateParameters", "Deflater", "Inflater", "negotiate"]

EXTENSION = b"permessage-deflate"

#: Messages below this (characters, of a text) are sent as they are. Measured on JSON: at 128 bytes a message by itself shrinks by
#: a quarter, one that finds its like in the context by 60 %, for 5 us of zlib instead of 0.1 us. Below, what is saved is less
#: than the headers of the packet that carries it; a message of 32 bytes by itself does not shrink at all.
DEFLATE_THRESHOLD_BYTES = 128

#: What is asked for, as by uvicorn: zlib's own defaults would take a multiple of the memory for a few percent less to send.
WINDOW_BITS = 12
MEMORY_LEVEL = 5
#: Of JSON of 1 KiB this makes 32 % in 16 us, zlib's default (6) 30 % in 28 us; smaller and larger messages are like it.
LEVEL = 4
#: zlib has no raw stream with a window of 8 bits.
_ZLIB_MIN_WINDOW_BITS = 9
_MAX_WINDOW_BITS = 15
_WINDOW_BITS = {b"%d" % bits: bits for bits in range(8, 16)}

#: The empty block that ends each message and is left out on the wire (RFC 7692 7.2.1).
_TAIL = b"\x00\x00\xff\xff"
#: Blocks with BFINAL in one message. Each costs a new zlib stream and a copy of what stands behind it.
_MAX_STREAM_ENDS = 256


@dataclass(frozen=True, slots=True)
class DeflateParameters:
    """What client and server have agreed on (RFC 7692 7.1), and which of it the response says."""

    #: compress each message for itself
    server_no_context_takeover: bool = False
    #: the client does
    client_no_context_takeover: bool = False
    #: base-2 logarithm of the window to compress with, 9 to 15
    server_max_window_bits: int = WINDOW_BITS
    #: of the window that the client compresses with, 8 to 15
    client_max_window_bits: int = _MAX_WINDOW_BITS
    #: whether the offer had each of the two: the response may have a limit for the client only then (RFC 7692 7.1.2.2)
    says_server_max_window_bits: bool = False
    says_client_max_window_bits: bool = False

    def response_field(self) -> bytes:
        """The value of the Sec-WebSocket-Extensions field that accepts the offer (RFC 7692 7.1)."""
        parts = [EXTENSION]
        if self.server_no_context_takeover:
            parts.append(b"server_no_context_takeover")
        if self.client_no_context_takeover:
            parts.append(b"client_no_context_takeover")
        if self.says_server_max_window_bits:
            parts.append(b"server_max_window_bits=%d" % self.server_max_window_bits)
        if self.says_client_max_window_bits:
            parts.append(b"client_max_window_bits=%d" % self.client_max_window_bits)
        return b"; ".join(parts)


def negotiate(offers: list[bytes]) -> DeflateParameters | None:
    """What to accept of `offers`, the values of all Sec-WebSocket-Extensions fields in order; None when there is nothing.

    The first offer of permessage-deflate that can be met is accepted. One with an unknown, repeated or invalid parameter is
    declined (RFC 7692 7.1), and so is all of a field that breaks the grammar.
    """
    for value in offers:
        for name, parameters in parse_extensions(value) or ():
            if name == EXTENSION and (accepted := _accept(parameters)) is not None:
                return accepted
    return None


def _accept(parameters: list[tuple[bytes, bytes | None]]) -> DeflateParameters | None:
    """The answer to one offer, None to decline it."""
    offered = dict(parameters)
    if len(offered) < len(parameters):
        return None
    if any(offered.pop(flag, None) is not None for flag in (b"server_no_context_takeover", b"client_no_context_takeover")):
        return None
    names = {name for name, _ in parameters}
    server_bits, client_bits = WINDOW_BITS, _MAX_WINDOW_BITS
    if b"server_max_window_bits" in offered:
        bits = _WINDOW_BITS.get(offered.pop(b"server_max_window_bits") or b"", 0)
        if bits < _ZLIB_MIN_WINDOW_BITS:
            # Invalid, or 8: a client that can only inflate so little cannot be served by zlib.
            return None
        server_bits = min(bits, WINDOW_BITS)
    if b"client_max_window_bits" in offered:
        value = offered.pop(b"client_max_window_bits")
        bits = _MAX_WINDOW_BITS if value is None else _WINDOW_BITS.get(value, 0)
        if not bits:
            return None
        client_bits = min(bits, WINDOW_BITS)
    if offered:
        return None
    return DeflateParameters(
        server_no_context_takeover=b"server_no_context_takeover" in names,
        client_no_context_takeover=b"client_no_context_takeover" in names,
        server_max_window_bits=server_bits,
        client_max_window_bits=client_bits,
        says_server_max_window_bits=b"server_max_window_bits" in names,
        says_client_max_window_bits=b"client_max_window_bits" in names,
    )


class Inflater:
    """Undoes what the client compressed, one message after the other (RFC 7692 7.2.2)."""

    __slots__ = ("_begun", "_forget", "_stream", "_stream_ends", "_window_bits")

    def __init__(self, parameters: DeflateParameters) -> None:
        self._window_bits = max(parameters.client_max_window_bits, _ZLIB_MIN_WINDOW_BITS)
        self._forget = parameters.client_no_context_takeover
        self._stream: zlib._Decompress | None = None
        self._begun = False  # a byte has come since the beginning of the message or of the stream
        self._stream_ends = 0  # in this message

    def inflate(self, data: bytes, final: bool, max_bytes: int) -> bytes:
        """What `data` becomes, the next piece of a message and with `final` its last.

        `max_bytes` is how much more may come out, negative for any amount; no more than one byte beyond it is ever made.
        Raises WebSocketError TOO_BIG when there is more, BAD_DEFLATE when it is not DEFLATE data.
        """
        if data:
            self._begun = True
        if final and self._begun:
            # Of a message without a single byte zlib had nothing to flush: there is nothing to end.
            data += _TAIL
        out = self._decompress(data, final, max_bytes + 1 if max_bytes >= 0 else 0) if data else b""
        if 0 <= max_bytes < len(out):
            raise websocket_error("TOO_BIG")
        if final:
            self._begun = False
            self._stream_ends = 0
            if self._forget:
                self._stream = None
        return out

    def _decompress(self, data: bytes, final: bool, max_length: int) -> bytes:
        if self._stream is None:
            self._stream = zlib.decompressobj(-self._window_bits)
        try:
            out = self._stream.decompress(data, max_length)
            while self._stream.eof and not len(out) == max_length > 0:
                # A block with BFINAL ends the stream, not the message: the next block follows it (RFC 7692 7.2.3.4). As with
                # other users of zlib it cannot refer to what came before.
                self._stream_ends += 1
                if self._stream_ends > _MAX_STREAM_ENDS:
                    raise websocket_error("BAD_DEFLATE")
                rest = self._stream.unused_data
                self._stream = zlib.decompressobj(-self._window_bits)
                self._begun = len(rest) > (len(_TAIL) if final else 0)
                if not self._begun:
                    # Nothing but the tail, which there is no block to put behind.
                    break
                out += self._stream.decompress(rest, max_length and max_length - len(out))
        except zlib.error:
            raise websocket_error("BAD_DEFLATE") from None
        return out


class Deflater:
    """Compresses for the client, one message after the other (RFC 7692 7.2.1)."""

    __slots__ = ("_forget", "_stream", "_window_bits")

    def __init__(self, parameters: DeflateParameters) -> None:
        self._window_bits = parameters.server_max_window_bits
        self._forget = parameters.server_no_context_takeover
        self._stream: zlib._Compress | None = None

    def deflate(self, data: bytes) -> bytes:
        """`data`, a whole message, as it stands in a frame with RSV1."""
        stream = self._stream
        if stream is None:
            stream = zlib.compressobj(LEVEL, zlib.DEFLATED, -self._window_bits, MEMORY_LEVEL)
            if not self._forget:
                self._stream = stream
        out = stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH)
        # RFC 7692 7.2.3.6: zlib has nothing to flush for an empty message, whose form is one byte.
        return out[: -len(_TAIL)] or b"\x00"
