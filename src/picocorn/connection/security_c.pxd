# Types for security_py.py, which is compiled a second time as security_c.

cimport cython


cdef class Security:
    cdef dict _extension

    @cython.locals(extension=dict, extensions=dict)
    cpdef object apply(self, dict scope)


cpdef object security_of(object transport, object server_cert_of)
