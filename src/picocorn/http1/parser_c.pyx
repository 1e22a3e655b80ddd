# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""The HTTP/1 request parser, native: bytes in, events out. Twin of `parser_py.py`, which documents the interface.

Holds the bytes and the objects; the grammar is C without Python (`csrc/http1.h`). Knows no socket, no clock, no response.

The fed bytes object is parsed in place. A collection may run whenever an object is made here, and with it any finalizer, so no
pointer into a buffer may outlive a change of that buffer: while an event is being made, `feed` and `next_event` refuse.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from libc.string cimport memcmp, memcpy, memmove, memset

from .events import CLOSED, DATA, END, HEAD, NEED_DATA
from .verdicts import remote_error

__all__ = ["CLOSED", "DATA", "END", "HEAD", "NEED_DATA", "RequestParser", "SCAN_KERNEL"]

cdef enum Event:
    # events.py as C constants; checked against it below.
    EVENT_NEED_DATA = 0
    EVENT_HEAD = 1
    EVENT_DATA = 2
    EVENT_END = 3
    EVENT_CLOSED = 4

if (NEED_DATA, HEAD, DATA, END, CLOSED) != (EVENT_NEED_DATA, EVENT_HEAD, EVENT_DATA, EVENT_END, EVENT_CLOSED):
    raise ImportError("parser_c was built for another events.py")

cdef enum Place:
    # What the parser waits for.
    PLACE_REQUEST_LINE
    PLACE_FIELDS
    PLACE_CONTENT
    PLACE_CHUNKS

DEF SCRATCH_FIELDS = 48  # a browser sends 12 to 25; more go to the heap
DEF KNOWN_SECTION_BYTES = 2048  # larger field sections are not remembered: they would cost every idle connection
DEF FIRST_CAPACITY_BYTES = 256
DEF NAME_SLOTS = 256  # a power of two, and a few times the number of names

cdef const pc_scan_kernel *_scan = pc_scan_choose()
# Where an empty buffer points: C may not add to NULL, not even nothing.
cdef const uint8_t *_NOTHING = <const uint8_t *> ""

#: The instruction set that scans heads on this machine.
SCAN_KERNEL = pc_scan_name(_scan).decode("ascii")


# -- names, methods and limits -----------------------------------------------------------------------------------------

# Field names that clients and proxies send often (IANA registry; Fetch and Client Hints; common proxy fields).
_COMMON_NAMES = (
    b"accept accept-charset accept-encoding accept-language access-control-request-headers access-control-request-method age "
    b"authorization cache-control cdn-loop cf-connecting-ip cf-ipcountry cf-ray cf-visitor connection content-disposition "
    b"content-encoding content-language content-length content-location content-type cookie date dnt downlink early-data ect "
    b"expect fastly-client-ip forwarded from grpc-timeout host http2-settings idempotency-key if-match if-modified-since "
    b"if-none-match if-range if-unmodified-since keep-alive last-event-id last-modified link max-forwards origin pragma prefer "
    b"priority proxy-authorization proxy-connection purpose range referer rtt save-data sec-ch-ua sec-ch-ua-arch "
    b"sec-ch-ua-full-version-list sec-ch-ua-mobile sec-ch-ua-model sec-ch-ua-platform sec-ch-ua-platform-version sec-fetch-dest "
    b"sec-fetch-mode sec-fetch-site sec-fetch-user sec-gpc sec-purpose sec-websocket-extensions sec-websocket-key "
    b"sec-websocket-protocol sec-websocket-version soapaction te traceparent tracestate trailer transfer-encoding "
    b"true-client-ip upgrade upgrade-insecure-requests user-agent via x-amzn-trace-id x-api-key x-b3-sampled x-b3-spanid "
    b"x-b3-traceid x-client-ip x-cloud-trace-context x-correlation-id x-csrf-token x-csrftoken x-forwarded-for x-forwarded-host "
    b"x-forwarded-port x-forwarded-prefix x-forwarded-proto x-forwarded-scheme x-forwarded-server x-http-method-override "
    b"x-real-ip x-request-id x-request-start x-requested-with x-scheme x-xsrf-token"
).split()

cdef PyObject *_name_slots[NAME_SLOTS]
memset(_name_slots, 0, sizeof(_name_slots))


cdef void _add_name(bytes name):
    cdef uint8_t lowered[PC_HTTP1_NAME_BYTES]
    cdef uint32_t slot = pc_http1_lower_name(lowered, <const uint8_t *> PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name))
    slot %= NAME_SLOTS
    while _name_slots[slot] != NULL:
        slot = (slot + 1) % NAME_SLOTS
    # For ever: the interpreter empties modules at its end, and finalizers may parse even then.
    Py_INCREF(name)
    _name_slots[slot] = <PyObject *> name


for _name in _COMMON_NAMES:
    _add_name(_name)


cdef bytes _field_name(const uint8_t *name, uint32_t length):
    cdef uint8_t lowered[PC_HTTP1_NAME_BYTES]
    cdef uint32_t slot
    cdef PyObject *known
    if length > PC_HTTP1_NAME_BYTES:
        return PyBytes_FromStringAndSize(<const char *> name, length).lower()
    slot = pc_http1_lower_name(lowered, name, length) % NAME_SLOTS
    while True:
        known = _name_slots[slot]
        if known == NULL:
            return PyBytes_FromStringAndSize(<const char *> lowered, length)
        if PyBytes_GET_SIZE(<object> known) == length and memcmp(PyBytes_AS_STRING(<object> known), lowered, length) == 0:
            return <bytes> known
        slot = (slot + 1) % NAME_SLOTS


cdef inline bytes _span(const uint8_t *base, pc_http1_span span):
    return PyBytes_FromStringAndSize(<const char *> base + span.offset, span.length)


cdef list _field_list(const uint8_t *base, const pc_http1_field *fields, uint32_t count):
    # Of the right size at once: growing by append costs three reallocations for a browser's head.
    cdef list pairs = PyList_New(count)
    cdef tuple pair
    cdef uint32_t i
    for i in range(count):
        pair = (_field_name(base + fields[i].name.offset, fields[i].name.length), _span(base, fields[i].value))
        Py_INCREF(pair)
        PyList_SET_ITEM(pairs, i, pair)
    return pairs


cdef str _method(const uint8_t *name, uint32_t length):
    if length == 3:
        if memcmp(name, b"GET", 3) == 0:
            return "GET"
        if memcmp(name, b"PUT", 3) == 0:
            return "PUT"
    elif length == 4:
        if memcmp(name, b"POST", 4) == 0:
            return "POST"
        if memcmp(name, b"HEAD", 4) == 0:
            return "HEAD"
    elif length == 5 and memcmp(name, b"PATCH", 5) == 0:
        return "PATCH"
    elif length == 6 and memcmp(name, b"DELETE", 6) == 0:
        return "DELETE"
    elif length == 7 and memcmp(name, b"OPTIONS", 7) == 0:
        return "OPTIONS"
    return name[:length].decode("ascii").upper()


cdef uint32_t _clamp(object value) except? 0:
    return max(0, min(value, PC_HTTP1_MAX_LIMIT_BYTES))


cdef object _compiled_source = None
cdef _Limits _compiled = None


cdef class _Limits:
    def __init__(self, limits):
        self.numbers.scan = _scan
        self.numbers.request_body_bytes = max(0, min(limits.request_body_bytes, 2**63))
        self.numbers.request_line_bytes = _clamp(limits.request_line_bytes)
        self.numbers.request_fields = _clamp(limits.request_fields)
        self.numbers.request_head_bytes = _clamp(limits.request_head_bytes)
        self.numbers.leading_empty_lines = _clamp(limits.leading_empty_lines)
        self.numbers.chunk_line_bytes = _clamp(limits.chunk_line_bytes)
        self.numbers.chunk_extension_total_bytes = _clamp(limits.chunk_extension_total_bytes)
        self.numbers.trailer_bytes = _clamp(limits.trailer_bytes)


cdef _Limits _compile_limits(object limits):
    # A server has one HTTP1Limits for all its connections: the last one compiled is nearly always the one asked for.
    global _compiled_source, _compiled
    if limits is not _compiled_source or _compiled is None:
        _compiled = _Limits(limits)
        _compiled_source = limits
    return _compiled


# -- the twins' classes ------------------------------------------------------------------------------------------------

@cython.final
cdef class RequestParser:
    """Turns bytes into HEAD, DATA and END events of one request after the other. See the pure twin."""

    def __cinit__(self, limits):
        self._limits = _compile_limits(limits)
        self.data = b""
        self.trailers = []
        self._bytes = _NOTHING
        self._place = PLACE_REQUEST_LINE

    def __dealloc__(self):
        PyMem_Free(self._own)
        PyMem_Free(self._fields)

    # -- bytes in ------------------------------------------------------------------------------------------------------

    cpdef Py_ssize_t buffered_bytes(self) noexcept:
        """Bytes fed and not yet consumed by an event."""
        return self._end - self._pos

    cpdef bint mid_message(self) noexcept:
        """Whether a request has begun, beyond empty lines, and its END has not been returned."""
        cdef Py_ssize_t pos = self._pos
        if self._place != PLACE_REQUEST_LINE:
            return True
        while self._end - pos >= 2 and self._bytes[pos] == c"\r" and self._bytes[pos + 1] == c"\n":
            pos += 2
        return pos < self._end

    cpdef bint begun_is_head(self) noexcept:
        """Whether a HEAD was begun whose head has not come to its end, be it that it was refused (RFC 9110 9.3.2)."""
        if self._error != PC_OK:
            return self._refused_is_head
        return self._place == PLACE_FIELDS and pc_http1_name_is(
            self._bytes + self._pos + self._line.method.offset, self._line.method.length, b"head", 4) != 0

    cpdef object feed(self, bytes data):
        """Keep `data` for `next_event`. Parses nothing; copies nothing while the buffer is empty."""
        cdef Py_ssize_t size
        if data is None:
            raise TypeError("feed() takes bytes, not None")
        if self._busy:
            raise RuntimeError("feed() called while an event is being made")
        size = PyBytes_GET_SIZE(data)
        if self._error != PC_OK or size == 0:
            return None
        if self._pos == self._end:
            self._piece = data
            self._bytes = <const uint8_t *> PyBytes_AS_STRING(data)
            self._pos = 0
            self._end = size
            return None
        self._reserve(size)
        memcpy(self._own + self._end, PyBytes_AS_STRING(data), size)
        self._end += size
        return None

    cpdef object feed_eof(self):
        """The peer will send no more bytes."""
        self._eof = True

    cpdef bytes take_rest(self):
        """Give up what no event has consumed: after an upgrade it belongs to another protocol (RFC 9110 7.8)."""
        if self._busy:
            raise RuntimeError("take_rest() called while an event is being made")
        cdef bytes rest = PyBytes_FromStringAndSize(<const char *> self._bytes + self._pos, self._end - self._pos)
        self._consume(self._end - self._pos)
        return rest

    cdef int _reserve(self, Py_ssize_t size) except -1:
        # Room for `size` bytes behind what is left, in a buffer that doubles: one-byte pieces must not cost their square.
        cdef Py_ssize_t left = self._end - self._pos
        cdef Py_ssize_t capacity
        cdef uint8_t *grown
        if self._own == NULL or left + size > self._own_capacity:
            capacity = max(left + size, 2 * self._own_capacity, FIRST_CAPACITY_BYTES)
            grown = <uint8_t *> PyMem_Malloc(capacity)
            if grown == NULL:
                raise MemoryError
            memcpy(grown, self._bytes + self._pos, left)
            PyMem_Free(self._own)
            self._own = grown
            self._own_capacity = capacity
        elif self._pos != 0:
            memmove(self._own, self._own + self._pos, left)
        self._bytes = self._own
        self._pos = 0
        self._end = left
        self._piece = None
        return 0

    cdef int _detach(self) except -1:
        # A rest of a few bytes must not keep a large piece alive while the connection is idle.
        if self._piece is not None or self._pos != 0:
            self._reserve(0)
        return 0

    cdef void _consume(self, Py_ssize_t size) noexcept:
        self._pos += size
        if self._pos == self._end:
            PyMem_Free(self._own)
            self._own = NULL
            self._bytes = _NOTHING
            self._own_capacity = self._pos = self._end = 0
            self._piece = None

    # -- events out ----------------------------------------------------------------------------------------------------

    cpdef int next_event(self) except -2:
        """HEAD, then DATA any number of times, then END; NEED_DATA when bytes are missing; CLOSED at the end between requests.

        Raises RemoteProtocolError when the peer broke a rule, and from then on at every call.
        """
        if self._error != PC_OK:
            return self._fail(self._error)
        if self._busy:
            raise RuntimeError("next_event() called while an event is being made")
        self._busy = True
        try:
            return self._step()
        finally:
            self._busy = False

    cdef int _step(self) except -2:
        if self._place == PLACE_REQUEST_LINE or self._place == PLACE_FIELDS:
            return self._read_head()
        if self._place == PLACE_CONTENT:
            return self._read_content()
        return self._read_chunks()

    cdef int _stop(self, pc_status status) except -2:
        if status != PC_NEED_DATA:
            return self._fail(status)
        if self._pos != self._end:
            self._detach()
        if not self._eof:
            return EVENT_NEED_DATA
        if self._place == PLACE_REQUEST_LINE and self._pos == self._end:
            return EVENT_CLOSED
        return self._fail(PC_ERR_INCOMPLETE)

    cdef int _fail(self, pc_status status) except -2:
        # The answer is made when the bytes are gone.
        self._refused_is_head = self.begun_is_head()
        self._error = status
        self._drop_fields()
        if status != PC_ERR_VERSION_NOT_SUPPORTED:
            # Else `take_rest()` is for who speaks that version.
            self._consume(self._end - self._pos)
        raise remote_error(pc_status_name(status).decode("ascii"))

    # -- head ----------------------------------------------------------------------------------------------------------

    cdef int _read_head(self) except -2:
        cdef pc_http1_limits *limits = &self._limits.numbers
        cdef pc_status status
        cdef size_t consumed
        if self._place == PLACE_REQUEST_LINE:
            if self._line.scanned == 0:
                status = pc_http1_skip_empty_lines(
                    limits, &self._empty_lines, self._bytes + self._pos, self._end - self._pos, &consumed)
                if consumed != 0:
                    self._consume(consumed)
                if status != PC_OK:
                    return self._stop(status)
            status = pc_http1_parse_request_line(limits, &self._line, self._bytes + self._pos, self._end - self._pos)
            if status != PC_OK:
                return self._stop(status)
            self._section.line_start = self._section.scanned = self._line.bytes
            self._section.count = 0
            self._place = PLACE_FIELDS
            if self._is_known_section():
                return self._take_known_section()
        return self._read_fields()

    cdef int _read_fields(self) except -2:
        cdef pc_http1_limits *limits = &self._limits.numbers
        cdef pc_http1_field scratch[SCRATCH_FIELDS]
        cdef pc_http1_field *fields = self._fields
        cdef size_t capacity = self._capacity
        cdef const uint8_t *base = self._bytes + self._pos
        cdef pc_http1_framing framing
        cdef pc_status status
        if fields == NULL:
            fields = scratch
            capacity = SCRATCH_FIELDS
        while True:
            status = pc_http1_parse_fields(limits, &self._section, base, self._end - self._pos, fields, capacity)
            if status != PC_NEED_FIELDS:
                break
            capacity *= 2
            fields = self._keep_fields(fields, self._section.count, capacity)
        if status == PC_NEED_DATA and fields == scratch and self._section.count != 0:
            self._keep_fields(fields, self._section.count, capacity)
        if status == PC_OK:
            status = pc_http1_decide_framing(limits, self._line.minor_version, base, fields, self._section.count, &framing)
        if status != PC_OK:
            return self._stop(status)
        return self._take_section(fields, &framing)

    cdef bint _is_known_section(self) noexcept:
        # Clients repeat their field section from request to request. The framing decision depends on the version too.
        cdef Py_ssize_t size
        if self._known_section is None or self._line.form != PC_FORM_ORIGIN or self._line.minor_version != self._known_version:
            return False
        size = PyBytes_GET_SIZE(self._known_section)
        # The final empty line is not held against the limit.
        if self._end - self._pos - self._line.bytes < size or (
            self._line.bytes + size - 2 > self._limits.numbers.request_head_bytes
        ):
            return False
        return memcmp(self._bytes + self._pos + self._line.bytes, PyBytes_AS_STRING(self._known_section), size) == 0

    cdef int _take_known_section(self) except -2:
        self._section.line_start = self._line.bytes + <uint32_t> PyBytes_GET_SIZE(self._known_section)
        return self._finish_head(list(self._known_fields), &self._known_framing, b"")

    cdef int _take_section(self, const pc_http1_field *fields, const pc_http1_framing *framing) except -2:
        cdef const uint8_t *base = self._bytes + self._pos
        cdef list headers = _field_list(base, fields, self._section.count)
        cdef bytes upgrade = b""
        cdef Py_ssize_t size = self._section.line_start - self._line.bytes
        if framing.upgrade:
            upgrade = b", ".join([value for name, value in headers if name == b"upgrade"])
        if self._line.form == PC_FORM_ABSOLUTE and framing.host >= 0:
            # RFC 9112 3.2.2: the target's authority counts, the Host field is ignored.
            headers[framing.host] = (b"host", _span(base, self._line.authority))
        elif framing.keep_alive and not framing.upgrade and self._line.form == PC_FORM_ORIGIN and size <= KNOWN_SECTION_BYTES:
            self._known_section = PyBytes_FromStringAndSize(<const char *> base + self._line.bytes, size)
            self._known_fields = tuple(headers)
            self._known_framing = framing[0]
            self._known_version = self._line.minor_version
        return self._finish_head(headers, framing, upgrade)

    cdef int _finish_head(self, list headers, const pc_http1_framing *framing, bytes upgrade) except -2:
        cdef RequestHead head = RequestHead.__new__(RequestHead)
        head.method = _method(self._bytes + self._pos + self._line.method.offset, self._line.method.length)
        self._set_target(head)
        head.http_version = "1.1" if self._line.minor_version == 1 else "1.0"
        head.headers = headers
        head.content_length = framing.content_length
        head.chunked = framing.chunked
        head.keep_alive = framing.keep_alive
        head.expect_continue = framing.expect_continue
        head.upgrade = upgrade
        head.forwarded = framing.forwarded
        self.head = head
        self.data = b""
        self.trailers = []
        self._drop_fields()
        self._content_left = max(framing.content_length, 0)
        if framing.chunked:
            memset(&self._chunks, 0, sizeof(self._chunks))
            self._place = PLACE_CHUNKS
        else:
            self._place = PLACE_CONTENT
        self._empty_lines = 0
        self._line.scanned = 0
        self._consume(self._section.line_start)
        return EVENT_HEAD

    cdef int _set_target(self, RequestHead head) except -1:
        cdef const uint8_t *base = self._bytes + self._pos
        cdef RequestHead last = self.head
        if (
            last is not None
            and PyBytes_GET_SIZE(last.target) == self._line.target.length
            and memcmp(PyBytes_AS_STRING(last.target), base + self._line.target.offset, self._line.target.length) == 0
        ):
            head.target = last.target
            head.raw_path = last.raw_path
            head.query_string = last.query_string
            return 0
        head.target = _span(base, self._line.target)
        if self._line.path.length == self._line.target.length:
            head.raw_path = head.target
        elif self._line.path.length == 0:
            head.raw_path = b"/"
        else:
            head.raw_path = _span(base, self._line.path)
        head.query_string = _span(base, self._line.query)
        return 0

    cdef pc_http1_field *_keep_fields(self, const pc_http1_field *fields, size_t count, size_t capacity) except NULL:
        # On the heap from now on: the section is longer than the scratch array, or its rest has not come yet.
        cdef pc_http1_field *kept = <pc_http1_field *> PyMem_Realloc(self._fields, capacity * sizeof(pc_http1_field))
        if kept == NULL:
            raise MemoryError
        if self._fields == NULL:
            memcpy(kept, fields, count * sizeof(pc_http1_field))
        self._fields = kept
        self._capacity = capacity
        return kept

    cdef void _drop_fields(self) noexcept:
        if self._fields != NULL:
            PyMem_Free(self._fields)
            self._fields = NULL
            self._capacity = 0

    # -- content -------------------------------------------------------------------------------------------------------

    cdef int _read_content(self) except -2:
        cdef Py_ssize_t size = self._end - self._pos
        if self._content_left == 0:
            # A list for each request would be a hundred instructions for nothing.
            return self._finish_message([] if self.trailers else self.trailers)
        if size == 0:
            return self._stop(PC_NEED_DATA)
        if size > self._content_left:
            size = self._content_left
        self._take_data(0, size)
        self._content_left -= size
        self._consume(size)
        return EVENT_DATA

    cdef int _read_chunks(self) except -2:
        cdef pc_http1_field scratch[SCRATCH_FIELDS]
        cdef pc_http1_field *fields = self._fields
        cdef size_t capacity = self._capacity
        cdef pc_http1_chunk chunk
        cdef pc_status status
        cdef list trailers
        if fields == NULL:
            fields = scratch
            capacity = SCRATCH_FIELDS
        while True:
            status = pc_http1_next_chunk(
                &self._limits.numbers, &self._chunks, self._bytes + self._pos, self._end - self._pos, fields, capacity, &chunk)
            if status != PC_NEED_FIELDS:
                break
            self._pos += chunk.consumed
            capacity *= 2
            fields = self._keep_fields(fields, self._chunks.trailers.count, capacity)
        if status == PC_OK and chunk.event == PC_CHUNK_DATA:
            self._take_data(chunk.data, chunk.data_length)
            self._consume(chunk.consumed)
            return EVENT_DATA
        if status == PC_OK:
            trailers = _field_list(self._bytes + self._pos + chunk.data, fields, self._chunks.trailers.count)
            self._consume(chunk.consumed)
            return self._finish_message(trailers)
        self._consume(chunk.consumed)
        if status == PC_NEED_DATA and fields == scratch and self._chunks.trailers.count != 0:
            self._keep_fields(fields, self._chunks.trailers.count, capacity)
        return self._stop(status)

    cdef int _take_data(self, Py_ssize_t offset, Py_ssize_t size) except -2:
        # A piece that is all content is handed on as the very object that was fed.
        if self._piece is not None and size == PyBytes_GET_SIZE(self._piece):
            self.data = self._piece
        else:
            self.data = PyBytes_FromStringAndSize(<const char *> self._bytes + self._pos + offset, size)
        return 0

    cdef int _finish_message(self, list trailers) except -2:
        self._drop_fields()
        self.data = b""
        self.trailers = trailers
        self._place = PLACE_REQUEST_LINE
        return EVENT_END
