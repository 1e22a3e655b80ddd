# C function table for carrier_py.py, which is compiled a second time as carrier_c.

from ..asgi.wire_c cimport Wire


cdef class Carrier(Wire):
    cpdef object accept(self, object subprotocol, bytes extensions, list headers)
    cpdef object reject(self, int status)
    cpdef bint send_frames(self, list frames) except -1
    cpdef long long sent_bytes(self) except -1
    cpdef Py_ssize_t unsent_bytes(self) except -1
    cpdef object stop_drains(self)
    cpdef object set_reading(self, bint pause)
    cpdef object arm(self, int kind, double seconds)
    cpdef object disarm(self)
    cpdef object end(self, bint settled)
    cpdef object abort(self)
