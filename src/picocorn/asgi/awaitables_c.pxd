# Done awaitables for the compiled cycle: made from C without a Python call.

cdef class Ready:
    cdef object _value

cpdef Ready ready(object value)
