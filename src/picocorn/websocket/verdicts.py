"""What the WebSocket reader may hold against a peer: name -> close code and reason, said once for both twins.

The native reader has the same names in its C enum, and both twins raise through `websocket_error`, so that a verdict reads
the same whichever body found it. Knows nothing of how a frame is read. The reasons are sent in the close frame (RFC 6455
5.5.1: at most 123 bytes); they name the rule and never repeat what the peer sent.

The law of judgement, for both twins: a rule is judged when the byte that decides it has come, so the same bytes give the same
events and the same verdict however they are split.

1. first byte: RSV, OPCODE, CONTROL_FRAGMENTED, CONTINUATION, INTERLEAVED. RSV1 is legal with an inflater on a frame whose
   opcode is TEXT or BINARY, and nowhere else, whatever else is wrong with that frame.
2. second byte: MASK, CONTROL_LENGTH.
3. last byte of an extended length, without waiting for the masking key: LENGTH, then TOO_BIG. A length of seven bits is judged
   for TOO_BIG at the second byte, after MASK. What counts is the message so far plus all that the frame declares; a compressed
   message is not judged by what its frames declare, but by what it becomes (below).
4. payload of a message that is not compressed, byte by byte: TEXT_UTF8, at the first byte that cannot continue (or, for a
   character cut off, at the last byte of the message).
5. payload of a compressed message, inflated as it comes: TOO_BIG as soon as more comes out than the limit leaves, BAD_DEFLATE
   as soon as the inflater sees it. Its text is judged as a whole when the message is complete: zlib gives out nothing
   together with an error, so which of two faults were seen first would depend on the splits.
6. last byte of a close frame: CLOSE_LENGTH, CLOSE_CODE, CLOSE_UTF8.
"""

from __future__ import annotations

from ..base.errors import WebSocketError

__all__ = ["VERDICTS", "websocket_error"]

VERDICTS: dict[str, tuple[int, str]] = {
    # The header of a frame, in the order of judgement (RFC 6455 5.2).
    "RSV": (1002, "reserved bit without an extension that defines it (RFC 6455 5.2)"),
    "OPCODE": (1002, "reserved opcode (RFC 6455 5.2)"),
    "CONTROL_FRAGMENTED": (1002, "control frame is fragmented (RFC 6455 5.5)"),
    "CONTINUATION": (1002, "continuation frame without a message to continue (RFC 6455 5.4)"),
    "INTERLEAVED": (1002, "new message inside a fragmented message (RFC 6455 5.4)"),
    "MASK": (1002, "frame from the client is not masked (RFC 6455 5.1)"),
    "CONTROL_LENGTH": (1002, "control frame has more than 125 bytes (RFC 6455 5.5)"),
    "LENGTH": (1002, "payload length is not in its minimal form or out of range (RFC 6455 5.2)"),
    "TOO_BIG": (1009, "message is larger than the limit (RFC 6455 7.4.1)"),
    # The payload of a message (RFC 6455 8.1, RFC 7692 7.2.2).
    "TEXT_UTF8": (1007, "text message is not UTF-8 (RFC 6455 8.1)"),
    "BAD_DEFLATE": (1007, "compressed message is not DEFLATE data (RFC 7692 7.2.2)"),
    # The payload of a close frame (RFC 6455 5.5.1 and 7.4).
    "CLOSE_LENGTH": (1002, "close frame has half a code (RFC 6455 5.5.1)"),
    "CLOSE_CODE": (1002, "close code may not be sent (RFC 6455 7.4)"),
    "CLOSE_UTF8": (1007, "close reason is not UTF-8 (RFC 6455 5.5.1)"),
}


def websocket_error(name: str) -> WebSocketError:
    """The error to raise for a verdict. `name` is a key of `VERDICTS`; another one is a bug and raises KeyError."""
    close_code, reason = VERDICTS[name]
    return WebSocketError(reason, close_code=close_code, code=name)
