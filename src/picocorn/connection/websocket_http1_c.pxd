# Types for websocket_http1_py.py, which is compiled a second time as websocket_http1_c.

cimport cython

from .context_c cimport ConnectionContext, ServerState
from .stream_c cimport StreamConnection
from .websocket_c cimport WebSocketSession

cdef int LINGER
cdef int STALL
cdef int NO_DEADLINE
cdef unsigned int SENDS_PER_LOOK


cdef class WebSocketProtocol(StreamConnection):
    cdef object _conn
    cdef bytes _key
    cdef long long _sent_bytes
    cdef unsigned int _sent_messages
    cdef WebSocketSession _session

    cpdef object accept(self, object subprotocol, bytes extensions, list headers)
    cpdef object reject(self, int status)
    cpdef object write_head(self, int status, object headers, bint trailers)
    cpdef bint write_data(self, bytes data, bint end) except -1
    cpdef object fail(self)
    @cython.locals(frame=bytes)
    cpdef bint send_frames(self, list frames) except -1
    cpdef long long sent_bytes(self) except -1
    cpdef Py_ssize_t unsent_bytes(self) except -1
