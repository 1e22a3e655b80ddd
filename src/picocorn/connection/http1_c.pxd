# Types for http1_py.py, which is compiled a second time as http1_c.

cimport cython

from ..asgi.http_cycle_c cimport HTTPCycle, new_cycle
from ..base.request_head_c cimport RequestHead
from ..http1.connection_c cimport HTTP1Connection
from .context_c cimport ConnectionContext, ServerState
from .security_c cimport Security, security_of
from .stream_c cimport StreamConnection

cdef int CLOSED
cdef int DATA
cdef int END
cdef int HEAD
cdef Py_ssize_t HIGH_WATER_BYTES
cdef object logger
cdef bytes HTTP2_PREFACE_LINE
cdef int REQUESTS_PER_TURN
cdef int NO_DEADLINE
cdef int REQUEST_HEAD
cdef int KEEP_ALIVE
cdef int REQUEST_BODY
cdef int LINGER
cdef int STALL


cdef class HTTP1Protocol(StreamConnection):
    cdef HTTP1Connection _conn
    cdef HTTPCycle _cycle
    cdef int _begun
    cdef bint _plain_tasks
    cdef bint _pump_scheduled
    cdef bint _pumping
    cdef Security _security
    cdef bint _shutting_down
    cdef int _status
    cdef bint _trusted

    cpdef object pump(self)
    @cython.locals(cycle=HTTPCycle, conn=HTTP1Connection, event=int)
    cdef bint _step(self) except -1
    @cython.locals(head=RequestHead, context=ConnectionContext, scope=dict)
    cdef object _begin_request(self)
    @cython.locals(held_bytes=Py_ssize_t, was_complete=bint)
    cdef bint _wake(self, HTTPCycle cycle, HTTP1Connection conn) except -1
    @cython.locals(context=ConnectionContext, scope=dict)
    cdef dict _scope(self, RequestHead head)
    @cython.locals(conn=HTTP1Connection, state=ServerState, may_stay=bint)
    cdef object _answer_health_check(self, RequestHead head, ConnectionContext context)
    @cython.locals(context=ConnectionContext, conn=HTTP1Connection, rest=bytes)
    cdef object _upgrade(self, RequestHead head, object websocket)
    @cython.locals(context=ConnectionContext, conn=HTTP1Connection, data=bytes)
    cdef bint _leave_to_http2(self) except -1
    cdef object _ignore_upgrade(self, RequestHead head)
    @cython.locals(context=ConnectionContext)
    cdef object _start(self, HTTPCycle cycle)
    cdef object _end_request(self)
    @cython.locals(cycle=HTTPCycle)
    cdef object _refuse(self, int status, object message)
    @cython.locals(cycle=HTTPCycle)
    cdef object _answer(self, int status, object detail)
    cpdef object write_head(self, int status, object headers, bint trailers)
    cpdef bint discard_head(self) except -1
    @cython.locals(conn=HTTP1Connection, first=bint, out=list)
    cpdef bint write_data(self, bytes data, bint end) except -1
    cpdef bint write_trailers(self, list headers) except -1
    cpdef object write_informational(self, int status, list headers)
    cpdef object request_body(self)
    cpdef object consume(self, Py_ssize_t size_bytes)
    cpdef object fail(self)
    @cython.locals(conn=HTTP1Connection)
    cdef object _response_ended(self)
    cdef object _schedule_pump(self)
    cdef object _log_access(self, HTTPCycle cycle, int status)
    @cython.locals(cycle=HTTPCycle, conn=HTTP1Connection, held=bint, waits=bint, pause=bint)
    cdef object _update_reading(self)
    @cython.locals(context=ConnectionContext)
    cdef object _update_deadline(self)
    @cython.locals(conn=HTTP1Connection)
    cdef object _close(self)
