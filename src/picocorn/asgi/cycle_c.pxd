# C function table for cycle_py.py, which is compiled a second time as cycle_c.

from .waiters_c cimport MessageSource


cdef class Cycle(MessageSource):
    cdef readonly dict scope

    cpdef object receive(self)
    cpdef object send(self, object message)
    cpdef object application_returned(self, object result)
    cpdef bint application_raised(self, object error) except -1
