# C function table for wire_py.py, which is compiled a second time as wire_c.

cdef class Wire:
    cpdef object write_head(self, int status, object headers, bint trailers)
    cpdef bint discard_head(self) except -1
    cpdef bint write_data(self, bytes data, bint end) except -1
    cpdef bint write_trailers(self, list headers) except -1
    cpdef object write_informational(self, int status, list headers)
    cpdef object request_body(self)
    cpdef object consume(self, Py_ssize_t size_bytes)
    cpdef bint is_blocked(self) except -1
    cpdef object drain(self)
    cpdef object fail(self)
    cpdef object push(self, object path, object headers)
    cpdef object application_ended(self)
