# Types for http2_output_py.py, which is compiled a second time as http2_output_c.

cimport cython

from ..base.request_head_c cimport RequestHead
from ..http1.writer_c cimport list_fields, list_head
from ..http2.session_c cimport HTTP2Session
from .carrier_c cimport Carrier
from .context_c cimport ConnectionContext, ServerState
from .http2_host_c cimport StreamHost
from .timers_c cimport Deadline, Timers

cdef unsigned int INTERNAL_ERROR
cdef int NO_DEADLINE
cdef int LINGER
cdef double UPLOAD_SECONDS
cdef double STALLED_SECONDS
cdef object DONE
cdef HTTP2Session NO_SESSION


cdef class StreamOutput(Carrier):
    cdef StreamHost _host
    cdef HTTP2Session _session
    cdef ConnectionContext _context
    cdef RequestHead _head
    cdef dict _scope
    cdef readonly int stream_id
    cdef readonly bint request_complete
    cdef readonly bint response_started
    cdef readonly bint response_complete
    cdef readonly bint closed
    cdef list _fields
    cdef int _status
    cdef long long _remaining_bytes
    cdef bint _trailers
    cdef bint _nothing
    cdef bint _nothing_follows
    cdef bint _blocked
    cdef list _drain_waiters
    cdef bint _drains_stopped
    cdef Deadline _deadline
    cdef int _deadline_kind
    cdef long long _queued_bytes
    cdef long long _left_bytes
    cdef double _stalled_seconds

    cdef object _open_output(self, StreamHost host, ConnectionContext context, int stream_id, RequestHead head)

    # answers in the server's own name
    cdef object _answer(self, int status, object detail)
    @cython.locals(status=int, fields=list, body=bytes)
    cdef object _write_answer(self, tuple response)
    @cython.locals(scope=dict)
    cdef object _log_access(self, int status)

    # Wire
    @cython.locals(fields=list, content_length="long long")
    cpdef object write_head(self, int status, object headers, bint trailers)
    cpdef bint discard_head(self) except -1
    @cython.locals(size=Py_ssize_t, fields=list)
    cpdef bint write_data(self, bytes data, bint end) except -1
    cdef object _queue(self, bytes data, Py_ssize_t size, bint end)
    @cython.locals(remaining="long long")
    cdef object _count(self, Py_ssize_t size, bint end)
    cdef object _finish(self)
    @cython.locals(fields=list)
    cpdef bint write_trailers(self, list headers) except -1
    @cython.locals(fields=list)
    cpdef object write_informational(self, int status, list headers)
    cpdef bint is_blocked(self) except -1
    cpdef object drain(self)
    @cython.locals(waiters=list)
    cdef object _wake_drainers(self)
    cpdef object stop_drains(self)
    cpdef object fail(self)

    # Carrier
    cpdef bint send_frames(self, list frames) except -1
    cpdef long long sent_bytes(self) except -1
    cpdef Py_ssize_t unsent_bytes(self) except -1

    # time
    @cython.locals(deadline=Deadline)
    cpdef object arm(self, int kind, double seconds)
    cpdef object disarm(self)
    @cython.locals(queued_bytes=Py_ssize_t, left_bytes="long long")
    cpdef bint is_stalled(self, double seconds) except -1

    # the end
    cpdef object reset(self, unsigned int error_code)
    cpdef object lose(self)
    @cython.locals(deadline=Deadline)
    cdef object _end_output(self)
