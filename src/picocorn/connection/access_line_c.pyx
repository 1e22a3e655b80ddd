# cython: boundscheck=False, wraparound=False, initializedcheck=False
# Native twin of access_line_py.py. Two texts: the usual line, all ASCII and nothing to escape, is copied into one new string
# whose size is known before, and what is watched is compared pointer by pointer. Every other line is put together from
# `request_parts`, as in the pure body.

from cpython.object cimport PyObject
from libc.string cimport memcpy

from .access_parts import request_parts

__all__ = ["LineFormat", "Watch"]

# Everything is borrowed here and nothing runs in between that could give it up. Declared with pointers, because Cython would
# count references for objects: a third of the instructions of a line.
cdef extern from "Python.h" nogil:
    bint PyDict_CheckExact(PyObject *)
    bint PyTuple_CheckExact(PyObject *)
    bint PyBytes_CheckExact(PyObject *)
    bint PyUnicode_CheckExact(PyObject *)
    bint PyLong_CheckExact(PyObject *)
    bint PyDict_Next(PyObject *, Py_ssize_t *position, PyObject **key, PyObject **value)
    PyObject *PyDict_GetItemWithError(PyObject *, PyObject *key) except? NULL
    Py_ssize_t PyList_GET_SIZE(PyObject *)
    PyObject *PyList_GET_ITEM(PyObject *, Py_ssize_t index)
    Py_ssize_t PyTuple_GET_SIZE(PyObject *)
    PyObject *PyTuple_GET_ITEM(PyObject *, Py_ssize_t index)
    Py_ssize_t PyBytes_GET_SIZE(PyObject *)
    char *PyBytes_AS_STRING(PyObject *)
    long PyLong_AsLongAndOverflow(PyObject *, int *overflow)
    bint PyUnicode_IS_COMPACT_ASCII(PyObject *)
    Py_ssize_t PyUnicode_GET_LENGTH(PyObject *)
    unsigned char *PyUnicode_1BYTE_DATA(PyObject *)
    ctypedef struct PyTypeObject:
        unsigned int tp_version_tag
cdef extern from "Python.h":
    str PyUnicode_New(Py_ssize_t size, Py_UCS4 maxchar)

cdef enum:
    PORT_DIGITS = 5
    # The last status that three digits and the table of tails have room for.
    LAST_STATUS = 999

# What quote() leaves as it is (RFC 3986 2.3, and "/"), and what a query may show as it came: printable ASCII.
cdef unsigned char PLAIN_IN_PATH[256]
cdef unsigned char PLAIN_IN_QUERY[256]


cdef int fill_tables() except -1:
    cdef int c
    for c in range(256):
        PLAIN_IN_QUERY[c] = 0x20 <= c <= 0x7E
        PLAIN_IN_PATH[c] = (
            c'a' <= c <= c'z' or c'A' <= c <= c'Z' or c'0' <= c <= c'9'
            or c == c'/' or c == c'-' or c == c'.' or c == c'_' or c == c'~'
        )
    return 0


fill_tables()


cdef inline bint is_ascii(PyObject *text) noexcept:
    return text != NULL and PyUnicode_CheckExact(text) and PyUnicode_IS_COMPACT_ASCII(text)


cdef inline bint is_plain(const unsigned char *data, Py_ssize_t size, const unsigned char *table) noexcept:
    cdef Py_ssize_t i
    for i in range(size):
        if not table[data[i]]:
            return False
    return True


cdef object MISSING = object()


cdef inline object item(object scope, str key):
    cdef PyObject *found = PyDict_GetItemWithError(<PyObject *>scope, <PyObject *>key)
    return MISSING if found == NULL else <object>found


cdef inline unsigned char *copied(unsigned char *out, PyObject *text) noexcept:
    cdef Py_ssize_t size = PyUnicode_GET_LENGTH(text)
    memcpy(out, PyUnicode_1BYTE_DATA(text), size)
    return out + size


cdef inline int port_of(PyObject *number, char *digits) noexcept:
    # Writes the port from the right end of `digits`. Returns the number of digits, 0 for what is no usual port.
    cdef int overflow = 0, count = 0
    cdef long port
    if not PyLong_CheckExact(number):
        return 0
    port = PyLong_AsLongAndOverflow(number, &overflow)
    if overflow or port < 0 or port > 65535:
        return 0
    while True:
        count += 1
        digits[PORT_DIGITS - count] = <char>(c'0' + port % 10)
        port //= 10
        if port == 0:
            return count


cdef class LineFormat:
    """How a line is put together.

    `prefix` stands before the client's address (str), `before_method` between it and the method; `tail_of(status)` gives what
    follows the HTTP version, with the end of the line, and is asked once for each status.
    """

    def __init__(self, str prefix not None, str before_method not None, tail_of):
        self._prefix = prefix
        self._before_method = before_method
        self._tail_of = tail_of
        self._tails = [None] * (LAST_STATUS + 1)

    cpdef str line(self, object scope, int status):
        """The whole line for the request of `scope`, answered with `status`."""
        cdef str tail = self._tail(status)
        cdef str line = self._usual_line(scope, tail)
        if line is None:
            client, method, path, version = request_parts(scope)
            return f"{self._prefix}{client}{self._before_method}{method} {path} HTTP/{version}{tail}"
        return line

    cdef str _tail(self, int status):
        if not 0 <= status <= LAST_STATUS:
            return self._tail_of(status)
        if self._tails[status] is None:
            self._tails[status] = self._tail_of(status)
        return self._tails[status]

    cdef str _usual_line(self, object scope, str tail):
        # None for a line that is not the usual one: other types than scopes have, anything to escape, a key that is missing.
        cdef PyObject *known = <PyObject *>scope
        cdef PyObject *client
        cdef PyObject *host = NULL
        cdef PyObject *method
        cdef PyObject *path
        cdef PyObject *query
        cdef PyObject *version
        cdef PyObject *prefix = <PyObject *>self._prefix
        cdef PyObject *before_method = <PyObject *>self._before_method
        cdef PyObject *end = <PyObject *>tail
        cdef Py_ssize_t size, query_size, host_size = 0
        cdef int digits_size = 0
        cdef char digits[PORT_DIGITS]
        cdef unsigned char *out
        cdef str line
        if not PyDict_CheckExact(known) or not (is_ascii(prefix) and is_ascii(before_method) and is_ascii(end)):
            return None
        # Held: a key of another type than str is compared by code of its own, which may take out what was found before.
        held_client = item(scope, "client")
        held_method = item(scope, "method")
        held_path = item(scope, "path")
        held_query = item(scope, "query_string")
        held_version = item(scope, "http_version")
        client = <PyObject *>held_client
        method = <PyObject *>held_method
        path = <PyObject *>held_path
        query = <PyObject *>held_query
        version = <PyObject *>held_version
        if not (is_ascii(method) and is_ascii(path) and is_ascii(version)):
            return None
        if held_client is MISSING or not PyBytes_CheckExact(query):
            return None
        size = PyUnicode_GET_LENGTH(path)
        query_size = PyBytes_GET_SIZE(query)
        if not is_plain(PyUnicode_1BYTE_DATA(path), size, PLAIN_IN_PATH):
            return None
        if not is_plain(<const unsigned char *>PyBytes_AS_STRING(query), query_size, PLAIN_IN_QUERY):
            return None
        if client != <PyObject *>None:
            if not PyTuple_CheckExact(client) or PyTuple_GET_SIZE(client) != 2:
                return None
            host = PyTuple_GET_ITEM(client, 0)
            digits_size = port_of(PyTuple_GET_ITEM(client, 1), digits)
            if not digits_size or not is_ascii(host):
                return None
            host_size = PyUnicode_GET_LENGTH(host)
            if not is_plain(PyUnicode_1BYTE_DATA(host), host_size, PLAIN_IN_QUERY):
                return None
            size += host_size + 1 + digits_size
        if query_size:
            size += 1 + query_size
        size += PyUnicode_GET_LENGTH(prefix) + PyUnicode_GET_LENGTH(before_method) + PyUnicode_GET_LENGTH(method) + 1
        size += 6 + PyUnicode_GET_LENGTH(version) + PyUnicode_GET_LENGTH(end)
        line = PyUnicode_New(size, 127)
        out = copied(PyUnicode_1BYTE_DATA(<PyObject *>line), prefix)
        if host != NULL:
            out = copied(out, host)
            out[0] = c':'
            memcpy(out + 1, digits + PORT_DIGITS - digits_size, digits_size)
            out += 1 + digits_size
        out = copied(out, before_method)
        out = copied(out, method)
        out[0] = c' '
        out = copied(out + 1, path)
        if query_size:
            out[0] = c'?'
            memcpy(out + 1, PyBytes_AS_STRING(query), query_size)
            out += 1 + query_size
        memcpy(out, b" HTTP/", 6)
        out = copied(out + 6, version)
        copied(out, end)
        return line


cdef list contents_of(list namespaces, list lists):
    contents = []
    for namespace in namespaces:
        contents += namespace.values()
    for items in lists:
        contents += items
    return contents


cdef Py_ssize_t same_namespaces(PyObject *namespaces, PyObject *values) noexcept:
    # How many of `values` the dicts hold in this order, object for object; -1 if they hold something else.
    cdef Py_ssize_t i, position, seen = 0, count = PyList_GET_SIZE(values)
    cdef PyObject *key
    cdef PyObject *value
    for i in range(PyList_GET_SIZE(namespaces)):
        position = 0
        while PyDict_Next(PyList_GET_ITEM(namespaces, i), &position, &key, &value):
            if seen >= count or value != PyList_GET_ITEM(values, seen):
                return -1
            seen += 1
    return seen


cdef list versions_of(list classes):
    # CPython gives a class a new number, or 0 for "none yet", whenever anything in it or above it is changed.
    return [(<PyTypeObject *><PyObject *>one).tp_version_tag for one in classes]


cdef class Watch:
    """Remembers what decides how lines are printed, object for object.

    `namespaces` (dicts) and `lists` are the containers whose contents are looked at for each line. `rarely`, dicts too, and
    `attributes`, pairs of an object and a name, are looked at once a turn: who changes those does it for good.
    """

    def __init__(self, list namespaces not None, list lists not None, list rarely not None, list attributes not None):
        self._namespaces = namespaces
        self._lists = lists
        self._rarely = rarely
        self._values = contents_of(namespaces, lists)
        self._sizes = [len(items) for items in lists]
        self._rare_values = contents_of(rarely, [])
        self._attributes = [pair for pair in attributes if not isinstance(pair[0], type)]
        self._found = [getattr(owner, name) for owner, name in self._attributes]
        self._methods = [pair for pair in attributes if isinstance(pair[0], type)]
        self._found_methods = [getattr(owner, name) for owner, name in self._methods]
        self._classes = [*{owner for owner, _ in self._methods}]
        self._versions = versions_of(self._classes)

    cpdef bint holds(self) except -1:
        """Whether what is looked at for each line is as it was."""
        cdef PyObject *values = <PyObject *>self._values
        cdef PyObject *lists = <PyObject *>self._lists
        cdef PyObject *items
        cdef Py_ssize_t i, k, size, count = PyList_GET_SIZE(values)
        cdef Py_ssize_t seen = same_namespaces(<PyObject *>self._namespaces, values)
        if seen < 0:
            return False
        for i in range(PyList_GET_SIZE(lists)):
            items = PyList_GET_ITEM(lists, i)
            size = PyList_GET_SIZE(items)
            if size != self._sizes[i]:
                return False
            for k in range(size):
                if seen >= count or PyList_GET_ITEM(items, k) != PyList_GET_ITEM(values, seen):
                    return False
                seen += 1
        return seen == count

    cpdef bint holds_all(self) except -1:
        """Whether everything is as it was."""
        cdef PyObject *classes = <PyObject *>self._classes
        cdef PyObject *rare_values = <PyObject *>self._rare_values
        cdef Py_ssize_t i
        cdef unsigned int version
        if not self.holds():
            return False
        if same_namespaces(<PyObject *>self._rarely, rare_values) != PyList_GET_SIZE(rare_values):
            return False
        i = 0
        for owner, name in self._attributes:
            if getattr(owner, name) is not self._found[i]:
                return False
            i += 1
        for i in range(PyList_GET_SIZE(classes)):
            version = (<PyTypeObject *>PyList_GET_ITEM(classes, i)).tp_version_tag
            if version == 0 or version != self._versions[i]:
                return self._methods_hold()
        return True

    cdef bint _methods_hold(self) except -1:
        cdef Py_ssize_t i = 0
        for owner, name in self._methods:
            if getattr(owner, name) is not self._found_methods[i]:
                return False
            i += 1
        self._versions = versions_of(self._classes)
        return True
