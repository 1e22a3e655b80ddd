# Declarations of the native scope builder, for the compiled connection.

from ..http1.parser_c cimport RequestHead


cdef class ScopeBuilder:
    cdef dict _app_state
    cdef str _asgi_version
    cdef tuple _names
    cdef str _root_path
    cdef bytes _root_path_bytes

    # what the last request had
    cdef dict _template
    cdef dict _asgi
    cdef dict _state
    cdef dict _extensions
    cdef tuple _inner
    cdef str _http_version
    cdef tuple _server
    cdef tuple _client
    cdef str _method
    cdef bytes _query_string

    cpdef dict build(self, RequestHead head, tuple client, tuple server)
    cdef int _prepare(self, RequestHead head, tuple client, tuple server) except -1
    cdef int _replace(self, dict scope, str key, dict value) except -1
    cdef bint _asgi_is_own(self) except -1
    cdef bint _extensions_are_own(self) noexcept
