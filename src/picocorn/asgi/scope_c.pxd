# Declarations of the native scope builder, for the compiled connection.

from ..base.request_head_c cimport RequestHead


cdef class _Inner:
    cdef dict asgi
    cdef dict extensions
    cdef tuple each_extension

    cdef int make(self, str asgi_version, tuple names) except -1
    cdef bint is_left(self, Py_ssize_t others) noexcept
    cdef bint is_unchanged(self, str asgi_version, tuple names) except -1


cdef class ScopeBuilder:
    cdef dict _app_state
    cdef str _asgi_version
    cdef tuple _names
    cdef str _root_path
    cdef bytes _root_path_bytes

    # what the last request had
    cdef dict _template
    cdef _Inner _inner
    cdef str _http_version
    cdef tuple _server
    cdef tuple _client
    cdef str _method
    cdef bytes _query_string

    # dicts of requests that ran at the same time, and whose turn it is
    cdef list _pool
    cdef Py_ssize_t _next

    cpdef dict build(self, RequestHead head, tuple client, tuple server)
    cdef int _put_connection(self, dict scope, RequestHead head, tuple client, tuple server) except -1
    cdef int _set_connection(self, dict template, RequestHead head, tuple client, tuple server) except -1
    cdef int _take_next(self) except -1
    cdef int _take_new(self) except -1
    cdef int _put_inner(self, dict scope) except -1
