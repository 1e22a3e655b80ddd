# Types for websocket_py.py, which is compiled a second time as websocket_c.

cimport cython

from ..asgi.websocket_cycle_c cimport WebSocketCycle, new_websocket_cycle
from ..asgi.websocket_wire_c cimport WebSocketWire
from ..websocket.connection_c cimport WebSocketConnection
from .carrier_c cimport Carrier
from .context_c cimport ConnectionContext, ServerState

cdef int NEED_DATA
cdef int TEXT
cdef int BINARY
cdef int CLOSE
cdef int PING
cdef int CONNECTING
cdef int DENYING
cdef int OPEN
cdef int CLOSING
cdef int ENDED
cdef int EVENTS_PER_TURN
cdef int PATIENT_TURNS
cdef double PING_SPREAD
cdef double GOLDEN_RATIO
cdef int ABNORMAL_CLOSURE
cdef int SERVICE_RESTART
cdef int INTERNAL_ERROR
cdef int CLOSE_HANDSHAKE
cdef int SILENCE
cdef Py_ssize_t HIGH_WATER_BYTES
cdef frozenset SERVERS_FIELDS
cdef object logger


cdef class WebSocketSession(WebSocketWire):
    cdef Carrier _carrier
    cdef ConnectionContext _context
    cdef WebSocketConnection _conn
    cdef WebSocketCycle _cycle
    cdef bytearray _early
    cdef list _extension_offers
    cdef list _subprotocols
    cdef bytes _pong
    cdef int _state
    cdef int _status
    cdef bint _eof
    cdef bint _held
    cdef bint _pump_scheduled
    cdef bint _received
    cdef Py_ssize_t _left_messages
    cdef int _patient_turns
    cdef long long _taken_bytes
    cdef bint _has_unsent
    cdef double _spread
    cdef double _step_seconds
    cdef double _to_ping_seconds
    cdef double _waiting_seconds

    @cython.locals(context=ConnectionContext, cycle=WebSocketCycle)
    cpdef object start(self, dict scope, bint is_plain)
    @cython.locals(conn=WebSocketConnection)
    cpdef object feed(self, bytes data)
    cpdef object feed_eof(self)
    @cython.locals(conn=WebSocketConnection)
    cpdef object writable(self)
    @cython.locals(conn=WebSocketConnection, cycle=WebSocketCycle)
    cpdef object lost(self)
    cpdef object on_deadline(self, int kind)
    cpdef object shutdown(self)
    cpdef object disconnect(self)
    @cython.locals(context=ConnectionContext, conn=WebSocketConnection, fields=list, offered=list, early=bytearray)
    cpdef object accept(self, object subprotocol, object headers)
    @cython.locals(conn=WebSocketConnection)
    cpdef bint send_message(self, object data) except -1
    cpdef object close(self, int code, object reason)
    cpdef object reject(self, int status)
    cpdef object write_response_head(self, int status, object headers)
    @cython.locals(must_drain=bint)
    cpdef bint write_response_body(self, bytes data, bint end) except -1
    @cython.locals(cycle=WebSocketCycle)
    cpdef object consume(self)
    cpdef bint is_blocked(self) except -1
    cpdef object drain(self)
    cpdef object fail(self)
    cpdef object application_ended(self)
    @cython.locals(conn=WebSocketConnection, cycle=WebSocketCycle, event=int, ends=bint)
    cpdef object pump(self)
    @cython.locals(max_queue=Py_ssize_t, event=int, _=int)
    cdef int _take_events(self, WebSocketConnection conn, WebSocketCycle cycle) except -2
    @cython.locals(queued=Py_ssize_t)
    cdef bint _is_still_taking(self, WebSocketCycle cycle) except -1
    cdef object _schedule_pump(self)
    @cython.locals(early=bytearray)
    cdef object _keep(self, bytes data)
    cdef object _hold(self, bint held)
    cdef object _answer_ping(self, WebSocketConnection conn, bytes payload)
    @cython.locals(conn=WebSocketConnection)
    cdef object _start_closing(self, int code, object reason)
    @cython.locals(conn=WebSocketConnection)
    cdef object _closed_by_peer(self, int code, object reason)
    @cython.locals(conn=WebSocketConnection)
    cdef object _fail(self, int code, object reason)
    cdef object _end_at_eof(self)
    cdef object _end(self, bint settled)
    @cython.locals(cycle=WebSocketCycle)
    cdef object _tell(self, int code, object reason)
    @cython.locals(seconds=double, timeout=double)
    cdef object _arm_silence(self)
    @cython.locals(carrier=Carrier, unsent_bytes=Py_ssize_t, taken_bytes="long long", has_taken=bint, is_stuck=bint)
    cdef object _look_at_silence(self)
    @cython.locals(conn=WebSocketConnection)
    cdef object _ping(self)
    @cython.locals(cycle=WebSocketCycle)
    cdef object _log(self, int status)
