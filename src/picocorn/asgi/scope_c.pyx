# Native twin of scope_py.py: builds the `http` scope of a request (asgi H1-H14). Two texts, because the path is decoded from
# a C buffer and the template is copied with one C call. Knows no socket and no connection.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Copy, PyDict_SetItem
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.unicode cimport PyUnicode_DecodeASCII, PyUnicode_DecodeUTF8
from libc.string cimport memchr

from ..http1.parser_c cimport RequestHead

from .scope_template import SPEC_VERSION, scope_template


cdef inline int hex_value(unsigned char c) noexcept:
    if c'0' <= c <= c'9':
        return c - c'0'
    if c'a' <= c <= c'f':
        return c - c'a' + 10
    if c'A' <= c <= c'F':
        return c - c'A' + 10
    return -1


cdef str percent_decoded(const char *raw, Py_ssize_t size):
    # RFC 3986 2.1. An incomplete or non-hexadecimal escape stays as it is; bytes that are no UTF-8 become U+FFFD.
    cdef char *out = <char *>PyMem_Malloc(size)
    cdef Py_ssize_t i = 0, length = 0
    cdef int high, low
    if out == NULL:
        raise MemoryError()
    while i < size:
        if raw[i] == c'%' and i + 2 < size:
            high = hex_value(<unsigned char>raw[i + 1])
            low = hex_value(<unsigned char>raw[i + 2])
            if high >= 0 and low >= 0:
                out[length] = <char>(high * 16 + low)
                length += 1
                i += 3
                continue
        out[length] = raw[i]
        length += 1
        i += 1
    try:
        return PyUnicode_DecodeUTF8(out, length, "replace")
    finally:
        PyMem_Free(out)


cdef class ScopeBuilder:
    """Makes scopes for the requests of one connection.

    `server` and `client` are (str, int) address tuples, (str, None) for a Unix socket, or None; `app_state` is the lifespan
    state, copied shallowly into each scope (asgi H12); `extensions` are the names of the ASGI extensions the wire can carry.
    """

    def __init__(self, *, server, client, str scheme, str root_path, dict app_state, str asgi_version, tuple extensions):
        self._app_state = app_state
        self._asgi = {"version": asgi_version, "spec_version": SPEC_VERSION}
        self._extensions = extensions
        self._root_path = root_path
        self._root_path_bytes = root_path.encode("utf-8")
        self._template = scope_template(server, client, scheme, root_path)

    cpdef dict build(self, RequestHead head):
        """Return a new scope for `head`. Every dict and list in it is the request's own (asgi C11)."""
        cdef bytes raw_path = head.raw_path
        cdef const char *raw = PyBytes_AS_STRING(raw_path)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(raw_path)
        cdef dict scope = <dict>PyDict_Copy(self._template)
        cdef dict extensions = {}
        cdef str path
        if memchr(raw, c'%', size) == NULL:
            path = PyUnicode_DecodeASCII(raw, size, NULL)
        else:
            path = percent_decoded(raw, size)
        # "*" is no path (RFC 9112 3.2.4), so nothing is put in front of it.
        if self._root_path and not (size == 1 and raw[0] == c'*'):
            path = self._root_path + path
            raw_path = self._root_path_bytes + raw_path
        for name in self._extensions:
            PyDict_SetItem(extensions, name, {})
        PyDict_SetItem(scope, "asgi", PyDict_Copy(self._asgi))
        PyDict_SetItem(scope, "http_version", head.http_version)
        PyDict_SetItem(scope, "method", head.method)
        PyDict_SetItem(scope, "path", path)
        PyDict_SetItem(scope, "raw_path", raw_path)
        PyDict_SetItem(scope, "query_string", head.query_string)
        PyDict_SetItem(scope, "headers", head.headers)
        PyDict_SetItem(scope, "state", PyDict_Copy(self._app_state))
        PyDict_SetItem(scope, "extensions", extensions)
        return scope
