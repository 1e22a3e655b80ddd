# Declarations of the native scope builder, for the compiled connection.

from ..http1.parser_c cimport RequestHead


cdef class ScopeBuilder:
    cdef dict _app_state
    cdef dict _asgi
    cdef tuple _extensions
    cdef str _root_path
    cdef bytes _root_path_bytes
    cdef dict _template

    cpdef dict build(self, RequestHead head)
