# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""The WebSocket message reader, native: bytes in, whole messages out. Twin of `reader_py.py`, which documents the interface.

Holds the bytes and the objects; the grammar is C without Python (`csrc/websocket.h`). Knows no socket, no clock.

Payload is unmasked once, from the fed piece into the object that the application gets; only the beginning of a header is kept
aside. A text goes into a str made for ASCII, and whether it is ASCII is known when its bytes have passed. One that is not has
its UTF-8 there until it is decoded into the str that it gets instead; the first one nobody ever sees.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.ref cimport Py_DECREF, Py_XDECREF
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.string cimport memcpy

from .opcodes import BINARY, CLOSE, NEED_DATA, PING, PONG, TEXT
from .verdicts import websocket_error

__all__ = ["MASK_KERNEL", "MessageReader"]

cdef extern from "Python.h":
    # With owned pointers: an object that is resized must have one reference, and nobody to see it. Each is checked where it is
    # called, for when memory is short there is a state to settle.
    PyObject *new_bytes "PyBytes_FromStringAndSize"(const char *, Py_ssize_t size) noexcept
    PyObject *new_text "PyUnicode_New"(Py_ssize_t size, Py_UCS4 largest) noexcept
    int resize_bytes "_PyBytes_Resize"(PyObject **owned, Py_ssize_t size) noexcept
    int resize_text "PyUnicode_Resize"(PyObject **owned, Py_ssize_t size) noexcept
    Py_ssize_t text_size "PyUnicode_GET_LENGTH"(PyObject *text)
    Py_ssize_t bytes_size "PyBytes_GET_SIZE"(PyObject *data)
    void *text_data "PyUnicode_DATA"(PyObject *text)
    char *bytes_data "PyBytes_AS_STRING"(PyObject *data)

cdef enum Event:
    # opcodes.py as C constants; checked against it below.
    EVENT_NEED_DATA = 0

if (NEED_DATA, TEXT, BINARY, CLOSE, PING, PONG) != (
    EVENT_NEED_DATA, PC_WS_TEXT, PC_WS_BINARY, PC_WS_CLOSE, PC_WS_PING, PC_WS_PONG
):
    raise ImportError("reader_c was built for another opcodes.py")

DEF LARGEST_ASCII = 127
DEF LARGEST_SIZE_BYTES = 2**63 - 1

cdef const pc_ws_mask_kernel *_kernel = pc_ws_mask_choose()

#: The instruction set that unmasks on this machine.
MASK_KERNEL = pc_ws_mask_name(_kernel).decode("ascii")


cdef inline PyObject *_new(bint is_str, Py_ssize_t size) noexcept:
    return new_text(size, LARGEST_ASCII) if is_str else new_bytes(NULL, size)


cdef inline int _resize(bint is_str, PyObject **owned, Py_ssize_t size) noexcept:
    return resize_text(owned, size) if is_str else resize_bytes(owned, size)


cdef inline uint8_t *_data(PyObject *gathered, bint is_str) noexcept:
    return <uint8_t *> text_data(gathered) if is_str else <uint8_t *> bytes_data(gathered)


@cython.final
cdef class MessageReader:
    """Turns bytes into messages and control frames of one WebSocket. See the pure twin."""

    def __cinit__(self, max_size_bytes, inflater):
        self.message = self.payload = b""
        self.close_reason = ""
        self.close_code = PC_WS_NO_CLOSE_CODE
        self._max_size_bytes = max(0, min(max_size_bytes, LARGEST_SIZE_BYTES))
        self._place.room_bytes = self._max_size_bytes if self._max_size_bytes != 0 else PC_WS_UNLIMITED
        self._place.may_compress = inflater is not None
        self._inflater = inflater

    def __dealloc__(self):
        Py_XDECREF(self._gathered)

    # -- bytes in ------------------------------------------------------------------------------------------------------

    cpdef Py_ssize_t buffered_bytes(self) noexcept:
        """Bytes fed that `next_event` has not looked at: what stands behind the last event. 0 after NEED_DATA."""
        return self._end - self._at + self._later_bytes

    cpdef bint mid_message(self) noexcept:
        """Whether a message or a frame has begun and has not come to its end."""
        return (
            self._place.in_message or self._left != 0 or self._head_bytes != 0 or self._at != self._end
            or self._later_bytes != 0
        )

    cpdef object feed(self, bytes data):
        """Keep `data` for `next_event`. Parses nothing and copies nothing."""
        if data is None:
            raise TypeError("feed() takes bytes, not None")
        if self._busy:
            raise RuntimeError("feed() called while a message is being inflated")
        if self._closed or self._error != PC_WS_OK or PyBytes_GET_SIZE(data) == 0:
            return None
        if self._at != self._end or self._later_bytes != 0:
            return self._feed_later(data)
        self._look_at(data)
        return None

    cdef object _feed_later(self, bytes data):
        # Up to 3.11 a collection, and with it any code, may run where a list is made: what it has changed is looked at after it.
        cdef list later = []
        if self._closed or self._error != PC_WS_OK:
            return None
        if self._later is not None:
            later = self._later
        later.append(data)
        self._later = later
        self._later_bytes += PyBytes_GET_SIZE(data)
        return None

    cdef void _look_at(self, bytes piece) noexcept:
        self._piece = piece
        self._at = <const uint8_t *> PyBytes_AS_STRING(piece)
        self._end = self._at + PyBytes_GET_SIZE(piece)

    cdef bint _take_later(self) except -1:
        # The piece is used up: on with the next one, if there is one.
        if self._later_bytes == 0:
            self._piece = None
            self._at = self._end = NULL
            return False
        self._look_at(<bytes> self._later[self._later_next])
        self._later_bytes -= PyBytes_GET_SIZE(self._piece)
        self._later[self._later_next] = None
        self._later_next += 1
        if self._later_bytes == 0:
            self._later = None
            self._later_next = 0
        return True

    # -- events out ----------------------------------------------------------------------------------------------------

    cpdef int next_event(self) except -2:
        """TEXT, BINARY, PING, PONG or CLOSE; NEED_DATA when bytes are missing, and always after CLOSE.

        Raises WebSocketError when the peer broke a rule, and from then on at every call.
        """
        cdef int event
        if self._error != PC_WS_OK:
            return self._fail(self._error)
        if self._busy:
            raise RuntimeError("next_event() called while a message is being inflated")
        while True:
            if self._at == self._end and not self._take_later():
                self.message = self.payload = b""
                return EVENT_NEED_DATA
            event = self._read_payload() if self._left != 0 else self._read_header()
            if event != EVENT_NEED_DATA:
                return event

    cdef int _fail(self, pc_ws_status status) except -2:
        self._error = status
        self._let_go()
        raise websocket_error(pc_ws_status_name(status).decode("ascii"))

    cdef int _fail_for_memory(self) except -2:
        # Bytes of a frame are lost, and what stands behind them is no header: this cannot be gone on with.
        self._error = PC_WS_ERR_TOO_BIG
        self._let_go()
        raise MemoryError

    cdef void _let_go(self) noexcept:
        # Nothing more will be read.
        cdef PyObject *gathered = self._gathered
        self._gathered = NULL
        self._gathered_bytes = 0
        self.message = self.payload = b""
        self._control = None
        self._later = None
        self._later_bytes = 0
        self._piece = None
        self._at = self._end = NULL
        self._left = 0
        self._head_bytes = 0
        self._place.in_message = False
        Py_XDECREF(gathered)

    # -- frames --------------------------------------------------------------------------------------------------------

    cdef int _read_header(self) except -2:
        cdef pc_ws_header header
        cdef pc_ws_status status
        if self._head_bytes == 0:
            status = pc_ws_decode_header(&self._place, self._at, self._end - self._at, &header)
            if status == PC_WS_OK:
                self._at += header.bytes
        else:
            status = PC_WS_NEED_DATA
        if status == PC_WS_NEED_DATA:
            status = self._join_header(&header)
        if status != PC_WS_OK:
            return EVENT_NEED_DATA if status == PC_WS_NEED_DATA else self._fail(status)
        if header.opcode >= PC_WS_CLOSE:
            return self._begin_control(&header)
        if header.opcode != PC_WS_CONTINUATION:
            if header.fin and not header.compressed and header.payload_bytes <= <uint64_t> (self._end - self._at):
                return self._take_whole(&header)
            self._begin_message(&header)
        return self._begin_payload(&header)

    cdef int _begin_control(self, const pc_ws_header *header) except -2:
        cdef PyObject *control = new_bytes(NULL, header.payload_bytes)
        if control == NULL:
            return self._fail_for_memory()
        self._control = <bytes> control
        Py_DECREF(<object> control)
        return self._begin_payload(header)

    cdef int _begin_payload(self, const pc_ws_header *header) except -2:
        self._left = header.payload_bytes
        self._mask = header.mask
        self._opcode = header.opcode
        self._fin = header.fin
        return self._read_payload()

    cdef pc_ws_status _join_header(self, pc_ws_header *header) noexcept:
        # Behind what has come of it before. What does not complete it is all that there is.
        cdef size_t size = min(self._end - self._at, <Py_ssize_t> PC_WS_CLIENT_HEADER_BYTES - self._head_bytes)
        cdef pc_ws_status status
        memcpy(self._head + self._head_bytes, self._at, size)
        status = pc_ws_decode_header(&self._place, self._head, self._head_bytes + size, header)
        if status == PC_WS_OK:
            self._at += header.bytes - self._head_bytes
            self._head_bytes = 0
        elif status == PC_WS_NEED_DATA:
            self._at += size
            self._head_bytes += <uint8_t> size
        return status

    cdef int _read_payload(self) except -2:
        cdef size_t size = self._end - self._at
        cdef bint is_last
        if size > self._left:
            size = self._left
        if self._opcode >= PC_WS_CLOSE:
            return self._read_control(size)
        is_last = self._fin and size == self._left
        if self._is_compressed:
            return self._inflate(size, is_last) if size != 0 or is_last else EVENT_NEED_DATA
        if size != 0:
            self._gather(size)
        return self._finish_message() if is_last else EVENT_NEED_DATA

    cdef void _unmask(self, uint8_t *to, size_t size) noexcept:
        _kernel.unmask(to, self._at, size, self._mask)
        self._skip(size)

    cdef void _skip(self, size_t size) noexcept:
        self._at += size
        self._left -= size
        self._mask = pc_ws_mask_rotate(self._mask, size)

    cdef int _read_control(self, size_t size) except -2:
        cdef bytes payload = self._control
        self._unmask(<uint8_t *> PyBytes_AS_STRING(payload) + PyBytes_GET_SIZE(payload) - self._left, size)
        if self._left != 0:
            return EVENT_NEED_DATA
        self._control = None
        if self._opcode == PC_WS_CLOSE:
            return self._take_close(payload)
        self.payload = payload
        return self._opcode

    cdef int _take_close(self, bytes payload) except -2:
        cdef unsigned code
        cdef Py_ssize_t size = PyBytes_GET_SIZE(payload)
        cdef pc_ws_status status = pc_ws_decode_close(<const uint8_t *> PyBytes_AS_STRING(payload), size, &code)
        if status != PC_WS_OK:
            return self._fail(status)
        if size > 2:
            self.close_reason = PyUnicode_DecodeUTF8(PyBytes_AS_STRING(payload) + 2, size - 2, NULL)
        self.close_code = code
        # RFC 6455 5.5.1: nothing follows a close frame, so whatever does is not looked at.
        self._closed = True
        self._let_go()
        return PC_WS_CLOSE

    # -- messages ------------------------------------------------------------------------------------------------------

    cdef int _take_whole(self, const pc_ws_header *header) except -2:
        # A message of one frame that lies there whole: most are.
        cdef bint is_text = header.opcode == PC_WS_TEXT
        cdef Py_ssize_t size = header.payload_bytes
        cdef const uint8_t *source = self._at
        cdef PyObject *fresh = _new(is_text, size)
        cdef uint8_t *place
        if fresh == NULL:
            return self._fail_for_memory()
        place = _data(fresh, is_text)
        self._at = source + size
        try:
            if not is_text:
                _kernel.unmask(place, source, size, header.mask)
            elif not _kernel.unmask_ascii(place, source, size, header.mask):
                return self._decode(place, size)
            self.message = <object> fresh
        finally:
            Py_DECREF(<object> fresh)
        return header.opcode

    cdef void _begin_message(self, const pc_ws_header *header) noexcept:
        self._place.in_message = True
        self._is_text = header.opcode == PC_WS_TEXT
        self._is_compressed = header.compressed
        self._is_ascii = True
        self._utf8.state = 0
        if self._is_compressed:
            # What its frames declare says nothing about its size: the inflater bounds what comes out.
            self._place.room_bytes = PC_WS_UNLIMITED

    cdef int _gather(self, size_t size) except -2:
        # Of a frame that ends the message no more can come than it declares.
        cdef uint8_t *place = self._room_for(size, self._left if self._fin else PC_WS_UNLIMITED)
        if not self._is_text:
            _kernel.unmask(place, self._at, size, self._mask)
        elif not _kernel.unmask_ascii(place, self._at, size, self._mask) or not pc_utf8_is_complete(&self._utf8):
            self._is_ascii = False
            if not pc_utf8_feed(&self._utf8, place, size):
                return self._fail(PC_WS_ERR_TEXT_UTF8)
        self._skip(size)
        self._gathered_bytes += size
        if self._max_size_bytes != 0:
            self._place.room_bytes -= size
        return 0

    cdef int _inflate(self, size_t size, bint is_last) except -2:
        cdef bytes piece = PyBytes_FromStringAndSize(NULL, size)
        cdef bytes inflated
        cdef long long room_bytes = -1
        if self._max_size_bytes != 0:
            room_bytes = self._max_size_bytes - self._gathered_bytes
        self._unmask(<uint8_t *> PyBytes_AS_STRING(piece), size)
        # Any code may run in there. It sees a state that is whole, and may not change it.
        self._busy = True
        try:
            inflated = self._inflater.inflate(piece, is_last, room_bytes)
            if inflated is None:
                raise TypeError("inflate() must return bytes, not None")
        except BaseException as error:
            # Without these bytes the message cannot be made, whatever went wrong.
            is_too_big = isinstance(error, MemoryError) or getattr(error, "code", "") == "TOO_BIG"
            self._error = PC_WS_ERR_TOO_BIG if is_too_big else PC_WS_ERR_BAD_DEFLATE
            self._let_go()
            raise
        finally:
            self._busy = False
        if is_last and self._gathered == NULL:
            self._end_message()
            if self._is_text:
                return self._decode(<const uint8_t *> PyBytes_AS_STRING(inflated), PyBytes_GET_SIZE(inflated))
            self.message = inflated
            return PC_WS_BINARY
        if inflated:
            size = PyBytes_GET_SIZE(inflated)
            memcpy(self._room_for(size, PC_WS_UNLIMITED), PyBytes_AS_STRING(inflated), size)
            self._gathered_bytes += size
        return self._finish_message() if is_last else EVENT_NEED_DATA

    cdef uint8_t *_room_for(self, size_t size, uint64_t most_to_come) except NULL:
        # Room for twice what has come, so that growing costs linear time and a declared length alone costs nothing.
        cdef bint is_str = self._is_text and not self._is_compressed
        cdef Py_ssize_t arrived = self._gathered_bytes + size
        cdef Py_ssize_t capacity = 2 * arrived
        if most_to_come < <uint64_t> (capacity - self._gathered_bytes):
            capacity = self._gathered_bytes + most_to_come
        if self._gathered == NULL:
            self._gathered = _new(is_str, capacity)
            if self._gathered == NULL:
                self._fail_for_memory()
        elif (text_size(self._gathered) if is_str else bytes_size(self._gathered)) < arrived:
            if _resize(is_str, &self._gathered, capacity) < 0:
                self._fail_for_memory()
        return _data(self._gathered, is_str) + self._gathered_bytes

    cdef void _end_message(self) noexcept:
        self._gathered = NULL
        self._gathered_bytes = 0
        self._place.in_message = False
        self._place.room_bytes = self._max_size_bytes if self._max_size_bytes != 0 else PC_WS_UNLIMITED

    cdef int _finish_message(self) except -2:
        cdef PyObject *gathered = self._gathered
        cdef Py_ssize_t size = self._gathered_bytes
        cdef bint is_str = self._is_text and not self._is_compressed
        if not pc_utf8_is_complete(&self._utf8):
            return self._fail(PC_WS_ERR_TEXT_UTF8)
        self._end_message()
        if gathered == NULL:
            self.message = "" if self._is_text else b""
            return PC_WS_TEXT if self._is_text else PC_WS_BINARY
        try:
            if self._is_text and not (is_str and self._is_ascii):
                return self._decode(_data(gathered, is_str), size)
            if _resize(is_str, &gathered, size) < 0:
                return self._fail_for_memory()
            self.message = <object> gathered
        finally:
            Py_XDECREF(gathered)
        return PC_WS_TEXT if self._is_text else PC_WS_BINARY

    cdef int _decode(self, const uint8_t *utf8, Py_ssize_t size) except -2:
        try:
            self.message = PyUnicode_DecodeUTF8(<const char *> utf8, size, NULL)
        except UnicodeDecodeError:
            return self._fail(PC_WS_ERR_TEXT_UTF8)
        except MemoryError:
            return self._fail_for_memory()
        return PC_WS_TEXT
