# A line of the access log without a log record, and the watch over what allows it, for the compiled access log.

cdef class LineFormat:
    cdef str _prefix
    cdef str _before_method
    cdef object _tail_of
    cdef list _tails

    cpdef str line(self, object scope, int status)
    cdef str _tail(self, int status)
    cdef str _usual_line(self, object scope, str tail)


cdef class Watch:
    cdef list _dicts
    cdef list _lists
    cdef list _methods
    cdef list _values
    cdef list _sizes
    cdef list _found

    cdef list _contents(self)
    cpdef bint holds(self) except -1
    cpdef bint methods_hold(self) except -1
