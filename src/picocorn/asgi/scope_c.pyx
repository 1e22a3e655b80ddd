# Native twin of scope_py.py: builds the `http` scope of a request (asgi H1-H14). Two texts, because the path is decoded from
# a C buffer and the template is copied with one C call. Knows no socket and no connection.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Copy, PyDict_SetItem, PyDict_Size
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
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


cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject *)


# The extensions that were given out last, the dicts in them, and the names they were made for. Kept for one server at a time: a
# process has one.
cdef dict _last_extensions = None
cdef tuple _last_inner = None
cdef tuple _last_names = None


cdef bint _is_own(dict extensions, tuple inner) noexcept:
    """Whether nobody else has `extensions` or a dict in it any more, and nothing was put into them or taken out."""
    cdef Py_ssize_t index
    cdef PyObject *each
    # Of `extensions`: one reference from the module, one from the caller.
    if Py_REFCNT(<PyObject *> extensions) != 2 or PyDict_Size(extensions) != PyTuple_GET_SIZE(inner):
        return False
    for index in range(PyTuple_GET_SIZE(inner)):
        each = PyTuple_GET_ITEM(inner, index)
        # Of each in it: one from `inner`, and one from `extensions` unless it was replaced there.
        if Py_REFCNT(each) != 2 or PyDict_Size(<object> each):
            return False
    return True


cdef dict _extensions(tuple names):
    """A dict of empty dicts that belongs to one request alone (asgi C11): the last one again when its request is gone.

    Five dicts less to make and to free for each request that ends before the next one comes, which is nearly every one.
    """
    global _last_extensions, _last_inner, _last_names
    cdef dict extensions = _last_extensions
    if names is not _last_names or not _is_own(extensions, _last_inner):
        extensions = {name: {} for name in names}
        _last_extensions = extensions
        _last_inner = tuple(extensions.values())
        _last_names = names
    return extensions


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
        cdef str path
        if memchr(raw, c'%', size) == NULL:
            path = PyUnicode_DecodeASCII(raw, size, NULL)
        else:
            path = percent_decoded(raw, size)
        # "*" is no path (RFC 9112 3.2.4), so nothing is put in front of it.
        if self._root_path and not (size == 1 and raw[0] == c'*'):
            path = self._root_path + path
            raw_path = self._root_path_bytes + raw_path
        PyDict_SetItem(scope, "asgi", PyDict_Copy(self._asgi))
        PyDict_SetItem(scope, "http_version", head.http_version)
        PyDict_SetItem(scope, "method", head.method)
        PyDict_SetItem(scope, "path", path)
        PyDict_SetItem(scope, "raw_path", raw_path)
        PyDict_SetItem(scope, "query_string", head.query_string)
        PyDict_SetItem(scope, "headers", head.headers)
        PyDict_SetItem(scope, "state", PyDict_Copy(self._app_state))
        PyDict_SetItem(scope, "extensions", _extensions(self._extensions))
        return scope
