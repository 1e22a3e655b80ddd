# Types for stream_py.py, which is compiled a second time as stream_c.

cimport cython

from .carrier_c cimport Carrier
from .context_c cimport ConnectionContext, ServerState
from .timers_c cimport Deadline, Timers

cdef Py_ssize_t HIGH_WATER_BYTES
cdef Py_ssize_t LOW_WATER_BYTES
cdef Py_ssize_t LINGER_BYTES
cdef double LINGER_SECONDS
cdef double STALLED_SECONDS
cdef double STALL_LOOK_SECONDS
cdef int NO_DEADLINE
cdef int LINGER
cdef int STALL
cdef object DONE


cdef class StreamConnection(Carrier):
    cdef ConnectionContext _context
    cdef Deadline _deadline
    cdef int _deadline_kind
    cdef list _drain_waiters
    cdef bint _drains_stopped
    cdef bint _closing
    cdef bint _eof
    cdef Py_ssize_t _linger_left_bytes
    cdef bint _reading_paused
    cdef double _stalled_seconds
    cdef Py_ssize_t _unsent_bytes
    cdef bint _writing_paused
    cdef readonly tuple client
    cdef readonly tuple server
    cdef readonly object transport

    @cython.locals(context=ConnectionContext)
    cdef object _open(self, object transport, object name)
    cdef object _block_output(self)
    cdef object _watch_output(self)
    cdef object _unblock_output(self)
    cpdef bint is_blocked(self) except -1
    cpdef object drain(self)
    cpdef object stop_drains(self)
    @cython.locals(waiters=list)
    cdef object _wake_drainers(self)
    cdef object _send(self, list out)
    cdef object _notice_loss(self)
    cpdef object set_reading(self, bint pause)
    cpdef object arm(self, int kind, double seconds)
    cpdef object disarm(self)
    @cython.locals(waiting_bytes=Py_ssize_t, unsent_bytes=Py_ssize_t)
    cdef bint _client_takes(self, double seconds) except -1
    cdef object _look_at_output(self)
    cpdef object end(self, bint settled)
    cdef object _linger(self, Py_ssize_t size_bytes)
    cdef object _lingered(self)
    cdef object _give_up(self)
    cpdef object abort(self)
    @cython.locals(context=ConnectionContext)
    cdef object _leave(self)
    cdef object _lost(self, object name)
