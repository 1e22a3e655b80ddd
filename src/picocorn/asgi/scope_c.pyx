# Native twin of scope_py.py: builds the `http` scope of a request (asgi H1-H14). Two texts, because the path is decoded from
# a C buffer and the template is copied with one C call. Knows no socket and no connection.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Copy, PyDict_GetItem, PyDict_SetItem, PyDict_Size
from cpython.list cimport PyList_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeASCII, PyUnicode_DecodeUTF8
from libc.string cimport memchr

from ..base.request_head_c cimport RequestHead

from .scope_template import SPEC_VERSION as _SPEC_VERSION
from .scope_template import scope_template

cdef str SPEC_VERSION = _SPEC_VERSION


DEF POOLED = 128  # times six dicts, less than 100 KiB, and only where so many requests have run at the same time

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject *)


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


cdef class _Inner:
    # The dicts in one scope. They can serve another when its application has left them to nobody.

    cdef int make(self, str asgi_version, tuple names) except -1:
        self.asgi = {"version": asgi_version, "spec_version": SPEC_VERSION}
        self.extensions = {name: {} for name in names}
        self.each_extension = tuple(self.extensions.values())
        return 0

    cdef bint is_left(self, Py_ssize_t others) noexcept:
        """Whether nobody has these but this object and `others`."""
        cdef Py_ssize_t index
        if Py_REFCNT(<PyObject *> self.asgi) != 1 + others or Py_REFCNT(<PyObject *> self.extensions) != 1 + others:
            return False
        for index in range(PyTuple_GET_SIZE(self.each_extension)):
            # One reference from the tuple, and one from the extensions unless it was taken out there.
            if Py_REFCNT(PyTuple_GET_ITEM(self.each_extension, index)) > 2:
                return False
        return True

    cdef bint is_unchanged(self, str asgi_version, tuple names) except -1:
        """Whether they hold what `make` has put into them."""
        cdef Py_ssize_t index
        cdef PyObject *each
        if PyDict_Size(self.asgi) != 2 or PyDict_Size(self.extensions) != PyTuple_GET_SIZE(names):
            return False
        for index in range(PyTuple_GET_SIZE(names)):
            each = PyTuple_GET_ITEM(self.each_extension, index)
            if PyDict_Size(<object> each) or (
                PyDict_GetItem(self.extensions, <object> PyTuple_GET_ITEM(names, index)) != each
            ):
                return False
        return (
            PyDict_GetItem(self.asgi, "version") == <PyObject *> asgi_version
            and PyDict_GetItem(self.asgi, "spec_version") == <PyObject *> SPEC_VERSION
        )


cdef class ScopeBuilder:
    """Makes the scopes of one server's requests. See the pure twin.

    The template holds what the last request had, and its copy needs setting only what differs. That goes for the dicts in it too:
    they are given out again once their request is gone. Measured: 4,500 instructions for a scope became 3,100, and there are
    six objects less to make and to free for each request.
    """

    def __init__(self, *, str scheme, str root_path, dict app_state not None, str asgi_version, tuple extensions not None):
        self._app_state = app_state
        self._asgi_version = asgi_version
        self._names = extensions
        self._root_path = root_path
        self._root_path_bytes = root_path.encode("utf-8")
        self._template = scope_template(scheme, root_path)
        self._pool = []
        self._next = 0
        self._take_new()

    cpdef dict build(self, RequestHead head, tuple client, tuple server):
        """Return a new scope for `head`. Every dict and list in it is the request's own (asgi C11). See the pure twin."""
        cdef bytes raw_path = head.raw_path
        cdef const char *raw = PyBytes_AS_STRING(raw_path)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(raw_path)
        cdef dict scope
        cdef str path
        if memchr(raw, c'%', size) == NULL:
            path = PyUnicode_DecodeASCII(raw, size, NULL)
        else:
            path = percent_decoded(raw, size)
        # "*" is no path (RFC 9112 3.2.4), so nothing is put in front of it.
        if self._root_path and not (size == 1 and raw[0] == c'*'):
            path = self._root_path + path
            raw_path = self._root_path_bytes + raw_path
        # The template has them too.
        if not self._inner.is_left(1):
            self._take_next()
        elif not self._inner.is_unchanged(self._asgi_version, self._names):
            self._inner.make(self._asgi_version, self._names)
            self._put_inner(self._template)
        self._set_connection(self._template, head, client, server)
        scope = <dict> PyDict_Copy(self._template)
        if Py_REFCNT(<PyObject *> self._inner.asgi) != 3 or head.method is not self._method or client is not self._client:
            # The copy's own memory made the collector run (3.11), and a finalizer has come here in between.
            self._take_new()
            self._put_inner(scope)
            self._put_connection(scope, head, client, server)
        # Never used again: applications keep in it what must not outlive the request.
        PyDict_SetItem(scope, "state", PyDict_Copy(self._app_state))
        PyDict_SetItem(scope, "path", path)
        PyDict_SetItem(scope, "raw_path", raw_path)
        PyDict_SetItem(scope, "headers", head.headers)
        return scope

    cdef int _put_connection(self, dict scope, RequestHead head, tuple client, tuple server) except -1:
        PyDict_SetItem(scope, "http_version", head.http_version)
        PyDict_SetItem(scope, "server", server)
        PyDict_SetItem(scope, "client", client)
        PyDict_SetItem(scope, "method", head.method)
        PyDict_SetItem(scope, "query_string", head.query_string)
        return 0

    cdef int _set_connection(self, dict template, RequestHead head, tuple client, tuple server) except -1:
        """Put into the template what the last request did not have."""
        if head.http_version is not self._http_version:
            self._http_version = head.http_version
            PyDict_SetItem(template, "http_version", self._http_version)
        if server is not self._server:
            self._server = server
            PyDict_SetItem(template, "server", server)
        if client is not self._client:
            self._client = client
            PyDict_SetItem(template, "client", client)
        if head.method is not self._method:
            self._method = head.method
            PyDict_SetItem(template, "method", self._method)
        if head.query_string is not self._query_string:
            self._query_string = head.query_string
            PyDict_SetItem(template, "query_string", self._query_string)
        return 0

    cdef int _take_next(self) except -1:
        """Requests run at the same time: take what one of the oldest had, or something new if those still run."""
        cdef _Inner inner
        cdef int _
        for _ in range(2):
            if self._next >= PyList_GET_SIZE(self._pool):
                self._next = 0
            inner = <_Inner> self._pool[self._next]
            self._next += 1
            if inner is not self._inner and inner.is_left(0):
                if not inner.is_unchanged(self._asgi_version, self._names):
                    inner.make(self._asgi_version, self._names)
                self._inner = inner
                return self._put_inner(self._template)
        return self._take_new()

    cdef int _take_new(self) except -1:
        cdef _Inner inner = _Inner.__new__(_Inner)
        inner.make(self._asgi_version, self._names)
        if PyList_GET_SIZE(self._pool) < POOLED:
            self._pool.append(inner)
        self._inner = inner
        return self._put_inner(self._template)

    cdef int _put_inner(self, dict scope) except -1:
        PyDict_SetItem(scope, "asgi", self._inner.asgi)
        PyDict_SetItem(scope, "extensions", self._inner.extensions)
        return 0
