# The WebSocket message reader over csrc/websocket.h. Twin of reader_py.py, whose docstrings say what each member means.

from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef extern from "websocket.h" nogil:
    enum pc_ws_status:
        PC_WS_OK
        PC_WS_NEED_DATA
        PC_WS_ERR_TOO_BIG
        PC_WS_ERR_TEXT_UTF8
        PC_WS_ERR_BAD_DEFLATE

    enum:
        PC_WS_CONTINUATION
        PC_WS_TEXT
        PC_WS_BINARY
        PC_WS_CLOSE
        PC_WS_PING
        PC_WS_PONG
        PC_WS_CLIENT_HEADER_BYTES
        PC_WS_NO_CLOSE_CODE

    const uint64_t PC_WS_UNLIMITED

    struct pc_ws_place:
        uint64_t room_bytes
        uint8_t in_message
        uint8_t may_compress

    struct pc_ws_header:
        uint64_t payload_bytes
        uint32_t mask
        uint8_t bytes
        uint8_t opcode
        uint8_t fin
        uint8_t compressed

    struct pc_ws_mask_kernel:
        void (*unmask)(uint8_t *dst, const uint8_t *src, size_t length, uint32_t mask) noexcept nogil
        int (*unmask_ascii)(uint8_t *dst, const uint8_t *src, size_t length, uint32_t mask) noexcept nogil

    const char *pc_ws_status_name(pc_ws_status status)
    pc_ws_status pc_ws_decode_header(const pc_ws_place *place, const uint8_t *buffer, size_t length, pc_ws_header *header)
    pc_ws_status pc_ws_decode_close(const uint8_t *payload, size_t length, unsigned *code)
    const pc_ws_mask_kernel *pc_ws_mask_choose()
    const char *pc_ws_mask_name(const pc_ws_mask_kernel *kernel)
    uint32_t pc_ws_mask_rotate(uint32_t mask, size_t bytes)


cdef extern from "utf8.h" nogil:
    struct pc_utf8:
        uint8_t state

    int pc_utf8_feed(pc_utf8 *state, const uint8_t *bytes, size_t length)
    int pc_utf8_is_complete(const pc_utf8 *state)


cdef class MessageReader:
    # the last event
    cdef readonly object message
    cdef readonly bytes payload
    cdef readonly str close_reason
    cdef readonly int close_code

    # why nothing more is read: a close frame or a verdict
    cdef uint8_t _closed
    cdef uint8_t _busy
    cdef pc_ws_status _error

    # bytes not yet looked at: [_at, _end), inside `_piece`; `_later` came before those were used up
    cdef bytes _piece
    cdef const uint8_t *_at
    cdef const uint8_t *_end
    cdef list _later
    cdef Py_ssize_t _later_next
    cdef Py_ssize_t _later_bytes

    # the frame whose header (`_head_bytes` of it) or payload (all but `_left`) has come
    cdef uint64_t _left
    cdef bytes _control
    cdef uint32_t _mask
    cdef uint8_t _opcode
    cdef uint8_t _fin
    cdef uint8_t _head_bytes
    cdef uint8_t _head[PC_WS_CLIENT_HEADER_BYTES]

    # the message whose last frame has not come to its end
    cdef uint8_t _is_text
    cdef uint8_t _is_compressed
    cdef uint8_t _is_ascii
    cdef pc_utf8 _utf8
    cdef pc_ws_place _place
    cdef uint64_t _max_size_bytes
    cdef object _inflater
    cdef PyObject *_gathered
    cdef Py_ssize_t _gathered_bytes

    cpdef Py_ssize_t buffered_bytes(self) noexcept
    cpdef bint mid_message(self) noexcept

    # bytes in
    cpdef object feed(self, bytes data)
    cdef object _feed_later(self, bytes data)
    cdef void _look_at(self, bytes piece) noexcept
    cdef bint _take_later(self) except -1

    # events out
    cpdef int next_event(self) except -2
    cdef int _fail(self, pc_ws_status status) except -2
    cdef int _fail_for_memory(self) except -2
    cdef void _let_go(self) noexcept

    # frames
    cdef int _read_header(self) except -2
    cdef int _begin_control(self, const pc_ws_header *header) except -2
    cdef int _begin_payload(self, const pc_ws_header *header) except -2
    cdef pc_ws_status _join_header(self, pc_ws_header *header) noexcept
    cdef int _read_payload(self) except -2
    cdef void _unmask(self, uint8_t *to, size_t size) noexcept
    cdef void _skip(self, size_t size) noexcept
    cdef int _read_control(self, size_t size) except -2
    cdef int _take_close(self, bytes payload) except -2

    # messages
    cdef int _take_whole(self, const pc_ws_header *header) except -2
    cdef void _begin_message(self, const pc_ws_header *header) noexcept
    cdef int _gather(self, size_t size) except -2
    cdef int _inflate(self, size_t size, bint is_last) except -2
    cdef uint8_t *_room_for(self, size_t size, uint64_t most_to_come) except NULL
    cdef void _end_message(self) noexcept
    cdef int _finish_message(self) except -2
    cdef int _decode(self, const uint8_t *utf8, Py_ssize_t size) except -2
