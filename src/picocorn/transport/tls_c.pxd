# Types for tls_py.py, which is compiled a second time as tls_c.

cimport cython

cdef int HANDSHAKE
cdef int OPEN
cdef int CLOSING
cdef int ENDED
cdef Py_ssize_t RECORD_BYTES
cdef Py_ssize_t DELIVERY_BYTES
cdef Py_ssize_t WRITE_BYTES
cdef Py_ssize_t DROPPED_BYTES
cdef int HANDSHAKE_RECORD
cdef object logger


cdef class TLSConnection:
    cdef bint _awaits_request
    cdef object _backlog
    cdef Py_ssize_t _dropped_bytes
    cdef bint _eof_waits
    cdef dict _extra
    cdef bint _got_eof
    cdef bint _has_ended
    cdef bint _has_failed
    cdef bint _has_said_goodbye
    cdef object _incoming
    cdef bint _is_held
    cdef bint _is_paused
    cdef bint _is_shutting_down
    cdef bint _is_writer_paused
    cdef bint _is_writing_paused
    cdef object _outgoing
    cdef object _protocol
    cdef object _records
    cdef object _settings
    cdef object _ssl
    cdef int _state
    cdef object _timer
    cdef Py_ssize_t _unsent_bytes
    cdef bint _wrote_eof
    cdef readonly object transport

    cdef object _begin(self)
    cdef object _shake_hands(self)
    cdef object _open(self)
    cdef object _leave_handshake(self)
    cdef object _stop_timer(self)
    cdef object _answer_plainly(self)
    cdef object _end_with_alert(self)
    cdef object _end_in_stages(self)
    cdef object _drop(self, bytes data)
    @cython.locals(data=bytes, has_ended=bint)
    cdef object _read(self)
    @cython.locals(asked=Py_ssize_t, data=bytes, pieces=list, piece=bytes, size=Py_ssize_t)
    cdef bytes _decrypt(self)
    cdef object _end_of_input(self)
    cdef object _broken(self, object error)
    cdef object _put(self, object data)
    cdef object _hold(self, object data)
    cdef object _after_write(self)
    @cython.locals(sent=Py_ssize_t)
    cdef object _encrypt(self, object data)
    cdef object _write_backlog(self)
    cdef object _flush(self)
    cdef object _pause_writer(self)
    cdef object _say_goodbye(self)
    cdef object _watch_end(self)
