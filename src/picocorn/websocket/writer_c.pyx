# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""The WebSocket frame writer, native: messages in, bytes out. Twin of `writer_py.py`, which documents the interface.

Mechanism only, as there; the header is written by `csrc/websocket_frame.c`. A short ASCII text, which most are, goes from the
str into the frame without a bytes object between. Knows no socket.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_Check, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8String, PyUnicode_Check
from libc.string cimport memcpy

from ..base.errors import LocalProtocolError
from .opcodes import CLOSE, NO_STATUS_RECEIVED, TEXT

__all__ = ["encode_close", "encode_frame", "encode_text"]

cdef extern from "Python.h":
    bint is_ascii "PyUnicode_IS_COMPACT_ASCII"(object text)
    Py_ssize_t text_size "PyUnicode_GET_LENGTH"(object text)
    void *text_data "PyUnicode_DATA"(object text)

if (TEXT, CLOSE, NO_STATUS_RECEIVED) != (PC_WS_TEXT, PC_WS_CLOSE, PC_WS_NO_CLOSE_CODE):
    raise ImportError("writer_c was built for another opcodes.py")

DEF JOIN_BYTES = 32768  # as in the pure twin


cdef bytes _frame(int opcode, bint compressed, const void *payload, Py_ssize_t size, bint is_joined):
    # The header, and behind it the payload if that is wanted.
    cdef uint8_t header[PC_WS_SERVER_HEADER_BYTES]
    cdef Py_ssize_t header_size = pc_ws_encode_header(header, opcode, compressed, size)
    cdef bytes frame
    if not is_joined:
        return PyBytes_FromStringAndSize(<const char *> header, header_size)
    frame = PyBytes_FromStringAndSize(NULL, header_size + size)
    memcpy(PyBytes_AS_STRING(frame), header, header_size)
    memcpy(PyBytes_AS_STRING(frame) + header_size, payload, size)
    return frame


cdef bytes _encode(object text, str what):
    if not PyUnicode_Check(text):
        raise TypeError(f"{what} must be str, not {type(text).__name__}")
    try:
        # Not PyUnicode_AsUTF8: that would keep the bytes for as long as the application keeps its str.
        return PyUnicode_AsUTF8String(text)
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"{what} has a lone surrogate at {error.start}: it is no UTF-8 (RFC 6455 8.1)") from None


cpdef list encode_frame(int opcode, object payload, bint compressed=False):
    """One whole frame as bytes objects to send in order. `compressed` sets RSV1 (RFC 7692 6)."""
    cdef Py_ssize_t size
    if not PyBytes_Check(payload):
        raise TypeError(f"payload must be bytes, not {type(payload).__name__}")
    size = PyBytes_GET_SIZE(payload)
    if size < JOIN_BYTES:
        return [_frame(opcode, compressed, PyBytes_AS_STRING(payload), size, True)]
    return [_frame(opcode, compressed, NULL, size, False), payload]


cpdef list encode_text(object text):
    """A text message, not compressed, as `encode_frame` does. Raises LocalProtocolError for lone surrogates."""
    if PyUnicode_Check(text) and is_ascii(text) and text_size(text) < JOIN_BYTES:
        return [_frame(PC_WS_TEXT, False, text_data(text), text_size(text), True)]
    return encode_frame(PC_WS_TEXT, _encode(text, "text message"))


cpdef bytes encode_close(object code, object reason):
    """A close frame; 1005 stands for one without code and reason (RFC 6455 7.1.5).

    Of a reason of more than 123 bytes as many whole characters are sent as fit. Raises LocalProtocolError for a code that may
    not be sent (RFC 6455 7.4) and for lone surrogates.
    """
    cdef bytes data = _encode(reason, "close reason")
    cdef uint8_t payload[2 + PC_WS_CLOSE_REASON_BYTES]
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    cdef unsigned number
    if code == NO_STATUS_RECEIVED:
        return _frame(PC_WS_CLOSE, False, NULL, 0, True)
    if not 0 <= code <= 0xFFFF or not pc_ws_close_code_may_be_sent(code):
        raise LocalProtocolError(f"close code may not be sent (RFC 6455 7.4): {code!r}")
    number = code
    if size > PC_WS_CLOSE_REASON_BYTES:
        size = PC_WS_CLOSE_REASON_BYTES
        # A character that would be cut is left out: what stands at the cut must be the first byte of one.
        while PyBytes_AS_STRING(data)[size] & 0xC0 == 0x80:
            size -= 1
    payload[0] = <uint8_t> (number >> 8)
    payload[1] = <uint8_t> number
    memcpy(payload + 2, PyBytes_AS_STRING(data), size)
    return _frame(PC_WS_CLOSE, False, payload, 2 + size, True)
