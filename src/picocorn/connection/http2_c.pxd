# Types for http2_py.py, which is compiled a second time as http2_c.

cimport cython

from ..asgi.scope_c cimport ScopeBuilder
from ..base.request_head_c cimport RequestHead
from ..http2.session_c cimport HTTP2Session, SessionHandler
from .context_c cimport ConnectionContext, ServerState
from .http2_host_c cimport StreamHost
from .http2_stream_c cimport HTTP2Stream, new_stream
from .security_c cimport Security, security_of

cdef unsigned int CANCEL
cdef unsigned int NO_ERROR
cdef int KEEP_ALIVE
cdef int LINGER
cdef int NO_DEADLINE
cdef int REQUEST_HEAD
cdef int STALL
cdef double STALL_LOOK_SECONDS
cdef double NOTICE_SECONDS
cdef int REQUESTS_PER_TURN
cdef Py_ssize_t BYTES_PER_TURN
cdef int UNANSWERED_WINDOWS
cdef int LENT_SHARES
cdef HTTP2Session NO_SESSION
cdef object logger


cdef class StreamEvents(SessionHandler):
    cdef HTTP2Protocol _connection

    cdef object forget(self)
    @cython.locals(connection=HTTP2Protocol)
    cpdef object request(self, int stream_id, RequestHead head, bytes protocol, bint authority_present, bint end)
    @cython.locals(connection=HTTP2Protocol, stream=HTTP2Stream)
    cpdef object data(self, int stream_id, bytes data)
    @cython.locals(stream=HTTP2Stream)
    cpdef object end(self, int stream_id)
    @cython.locals(connection=HTTP2Protocol, stream=HTTP2Stream)
    cpdef object closed(self, int stream_id, unsigned int error_code)
    @cython.locals(stream=HTTP2Stream)
    cpdef object drained(self, int stream_id)
    cpdef object goaway(self, unsigned int error_code, int last_stream_id)
    cdef HTTP2Stream _stream(self, int stream_id)
    cdef object _note(self, HTTP2Stream stream)


cdef class HTTP2Protocol(StreamHost):
    cdef StreamEvents _events
    cdef object _goaway_timer
    cdef bint _has_more
    cdef list _ready
    cdef bint _is_leaving
    cdef Security _security
    cdef bint _served
    cdef bint _trusted
    cdef bint _turn_scheduled
    cdef bint _turning
    cdef long long _unanswered_bytes
    cdef long long _window_bytes

    @cython.locals(stream=HTTP2Stream)
    cdef object _shutdown_sockets(self, bint at_once)
    @cython.locals(stream=HTTP2Stream)
    cdef object _begin_stream(self, int stream_id, RequestHead head, bytes protocol, bint end)
    cdef object _take_content(self, Py_ssize_t size_bytes)
    cdef object _peer_leaves(self)
    @cython.locals(one=HTTP2Stream)
    cpdef object note(self, object stream)
    cpdef object flush_soon(self)
    @cython.locals(context=ConnectionContext, scopes=ScopeBuilder, scope=dict)
    cpdef dict scope_of(self, RequestHead head, bint may_push)
    @cython.locals(promised_id=int)
    cpdef object promise(self, int stream_id, RequestHead head, bytes authority)
    cdef object _turn(self)
    @cython.locals(left=int, position=Py_ssize_t, ready=list, stream=HTTP2Stream)
    cdef object _go_on(self)
    @cython.locals(session=HTTP2Session, out=list, left_bytes=Py_ssize_t, piece=bytes)
    cdef object _flush(self)
    cdef object _settle(self)
    cpdef bint holds_window(self) except -1
    @cython.locals(stream=HTTP2Stream, unread_bytes=Py_ssize_t)
    cdef object _make_room(self)
    @cython.locals(context=ConnectionContext, state=ServerState, share_bytes="long long", size_bytes="long long")
    cdef object _widen_window(self)
    @cython.locals(context=ConnectionContext, least_bytes="long long", size_bytes="long long")
    cdef object _return_window(self)
    cpdef object release(self, Py_ssize_t size_bytes)
    cdef bint _output_waits(self) except -1
    @cython.locals(stream=HTTP2Stream)
    cdef object _look_at_stall(self)
    cdef object _finish(self, bint settled)
    cdef object _fail(self, object error)
    @cython.locals(stream=HTTP2Stream, streams=list)
    cdef object _lose_all(self)
