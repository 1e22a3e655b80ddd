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
    cdef list _namespaces
    cdef list _lists
    cdef list _rarely
    cdef list _values
    cdef list _sizes
    cdef list _rare_values
    cdef list _attributes
    cdef list _found
    cdef list _methods
    cdef list _found_methods
    cdef list _classes
    cdef list _versions

    cpdef bint holds(self) except -1
    cpdef bint holds_all(self) except -1
    cdef bint _methods_hold(self) except -1
