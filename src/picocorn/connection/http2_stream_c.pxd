# Types for http2_stream_py.py, which is compiled a second time as http2_stream_c.

cimport cython

from ..asgi.http_cycle_c cimport HTTPCycle, new_cycle
from ..asgi.tasks_c cimport TaskStarter
from ..base.request_head_c cimport RequestHead
from ..http1.writer_c cimport list_fields, list_head
from .context_c cimport ConnectionContext, ServerState
from .http2_host_c cimport StreamHost
from .http2_output_c cimport StreamOutput
from .websocket_c cimport WebSocketSession

cdef unsigned int CANCEL
cdef unsigned int REFUSED_STREAM
cdef int LINGER
cdef int NO_DEADLINE
cdef int REQUEST_BODY
cdef double LINGER_SECONDS
cdef double UPLOAD_SECONDS
cdef Py_ssize_t SMALL_BYTES
cdef Py_ssize_t JOINED_BYTES
cdef object logger


cdef class HTTP2Stream(StreamOutput):
    cdef bytes _protocol
    cdef public bint is_noted
    cdef bint _begun
    cdef bint _running
    cdef bint _abandoned
    cdef HTTPCycle _cycle
    cdef WebSocketSession _socket
    cdef list _incoming
    cdef Py_ssize_t _kept_bytes
    cdef bytearray _small
    cdef Py_ssize_t _content_bytes
    cdef Py_ssize_t _dropped_bytes
    cdef bint _continue_pending
    cdef bint _eof
    cdef unsigned long long _held_turns
    cdef bint _reading_paused
    cdef bint _unblocked

    cdef object _open(self, StreamHost host, ConnectionContext context, int stream_id, RequestHead head, bytes protocol)

    # told by the connection, from inside the session
    cpdef object take_request(self, bint end)
    @cython.locals(cycle=HTTPCycle, incoming=list)
    cpdef object take_data(self, bytes data)
    @cython.locals(cycle=HTTPCycle)
    cpdef object take_end(self)
    @cython.locals(small=bytearray)
    cdef object _keep_small(self, HTTPCycle cycle, bytes data)
    @cython.locals(small=bytearray)
    cdef object _feed_small(self, HTTPCycle cycle)
    cpdef bint take_drained(self) except -1
    @cython.locals(cycle=HTTPCycle)
    cpdef bint take_closed(self) except -1

    # from the connection, outside of everything
    cpdef bint go_on(self) except -1
    @cython.locals(cycle=HTTPCycle, socket=WebSocketSession)
    cpdef object lose(self)
    @cython.locals(socket=WebSocketSession)
    cpdef object shutdown(self, bint at_once)
    @cython.locals(host=StreamHost)
    cdef object _keep(self, Py_ssize_t size_bytes)
    @cython.locals(size_bytes=Py_ssize_t)
    cdef object _release(self)
    cdef object _end_all(self)

    # the request
    @cython.locals(context=ConnectionContext, head=RequestHead, host=StreamHost, cycle=HTTPCycle, incoming=list, may_push=bint)
    cdef object _begin(self)
    @cython.locals(context=ConnectionContext, socket=WebSocketSession, limit=Py_ssize_t)
    cdef object _connect(self)
    @cython.locals(limit=Py_ssize_t)
    cdef bint _is_too_large(self) except -1
    @cython.locals(socket=WebSocketSession, incoming=list)
    cdef object _feed_socket(self)
    cdef object _end_input(self, WebSocketSession socket)
    @cython.locals(size_bytes=Py_ssize_t)
    cdef object _drop(self)
    @cython.locals(cycle=HTTPCycle)
    cpdef object drop_unread(self)
    @cython.locals(cycle=HTTPCycle)
    cdef object _refuse(self, int status, object message)

    # Wire
    cpdef object request_body(self)
    @cython.locals(cycle=HTTPCycle)
    cpdef object consume(self, Py_ssize_t size_bytes)
    @cython.locals(head=RequestHead, fields=list)
    cpdef object push(self, object path, object headers)
    cpdef object application_ended(self)

    # Carrier
    @cython.locals(fields=list)
    cpdef object accept(self, object subprotocol, bytes extensions, list headers)
    cpdef object reject(self, int status)
    cpdef object set_reading(self, bint pause)
    cpdef object end(self, bint settled)
    cpdef object abort(self)

    # the deadline
    @cython.locals(cycle=HTTPCycle)
    cdef object _update_deadline(self)


@cython.locals(stream=HTTP2Stream)
cpdef HTTP2Stream new_stream(StreamHost host, ConnectionContext context, int stream_id, RequestHead head, bytes protocol)
