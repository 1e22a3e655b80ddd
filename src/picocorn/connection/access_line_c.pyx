# cython: boundscheck=False, wraparound=False, initializedcheck=False
# Native twin of access_line_py.py. Two texts: the usual line, all ASCII and nothing to escape, is copied into one new string
# whose size is known before, and what is watched is compared pointer by pointer. Every other line is put together from
# `request_parts`, as in the pure body.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_CheckExact, PyDict_GetItem, PyDict_Next
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.long cimport PyLong_AsLongAndOverflow, PyLong_CheckExact
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_CheckExact, PyTuple_GET_ITEM, PyTuple_GET_SIZE
from cpython.unicode cimport PyUnicode_CheckExact, PyUnicode_GET_LENGTH
from libc.string cimport memcpy

from .access_parts import request_parts

__all__ = ["LineFormat", "Watch"]

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    unsigned char *PyUnicode_1BYTE_DATA(object text)
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
    return text != NULL and PyUnicode_CheckExact(<object>text) and PyUnicode_IS_COMPACT_ASCII(<object>text)


cdef inline bint is_plain(const unsigned char *data, Py_ssize_t size, const unsigned char *table) noexcept:
    cdef Py_ssize_t i
    for i in range(size):
        if not table[data[i]]:
            return False
    return True


cdef inline unsigned char *copied(unsigned char *out, object text) noexcept:
    cdef Py_ssize_t size = PyUnicode_GET_LENGTH(text)
    memcpy(out, PyUnicode_1BYTE_DATA(text), size)
    return out + size


cdef inline int port_of(PyObject *client, char *digits) except -1:
    # Writes the port from the right end of `digits`. Returns the number of digits, 0 for what is no usual port.
    cdef int overflow = 0, count = 0
    cdef long port
    cdef PyObject *number = PyTuple_GET_ITEM(<object>client, 1)
    if not PyLong_CheckExact(<object>number):
        return 0
    port = PyLong_AsLongAndOverflow(<object>number, &overflow)
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
        tail = <object>PyList_GET_ITEM(self._tails, status)
        if tail is None:
            tail = self._tails[status] = self._tail_of(status)
        return tail

    cdef str _usual_line(self, object scope, str tail):
        # None for a line that is not the usual one: other types than scopes have, anything to escape, a key that is missing.
        cdef PyObject *client
        cdef PyObject *host = NULL
        cdef PyObject *method
        cdef PyObject *path
        cdef PyObject *query
        cdef PyObject *version
        cdef Py_ssize_t size, query_size
        cdef int digits_size = 0
        cdef char digits[PORT_DIGITS]
        cdef unsigned char *out
        cdef str line
        if tail is None or not PyDict_CheckExact(scope):
            return None
        client = PyDict_GetItem(scope, "client")
        method = PyDict_GetItem(scope, "method")
        path = PyDict_GetItem(scope, "path")
        query = PyDict_GetItem(scope, "query_string")
        version = PyDict_GetItem(scope, "http_version")
        if not (is_ascii(method) and is_ascii(path) and is_ascii(version)):
            return None
        if client == NULL or query == NULL or not PyBytes_CheckExact(<object>query):
            return None
        size = PyUnicode_GET_LENGTH(<object>path)
        if not is_plain(PyUnicode_1BYTE_DATA(<object>path), size, PLAIN_IN_PATH):
            return None
        query_size = PyBytes_GET_SIZE(<object>query)
        if query_size:
            if not is_plain(<const unsigned char *>PyBytes_AS_STRING(<object>query), query_size, PLAIN_IN_QUERY):
                return None
            size += 1 + query_size
        if <object>client is not None:
            if not PyTuple_CheckExact(<object>client) or PyTuple_GET_SIZE(<object>client) != 2:
                return None
            host = PyTuple_GET_ITEM(<object>client, 0)
            digits_size = port_of(client, digits)
            if not digits_size or not is_ascii(host):
                return None
            query_size = PyUnicode_GET_LENGTH(<object>host)
            if not is_plain(PyUnicode_1BYTE_DATA(<object>host), query_size, PLAIN_IN_QUERY):
                return None
            size += query_size + 1 + digits_size
        size += PyUnicode_GET_LENGTH(self._prefix) + PyUnicode_GET_LENGTH(self._before_method)
        size += PyUnicode_GET_LENGTH(<object>method) + 1 + 6 + PyUnicode_GET_LENGTH(<object>version) + PyUnicode_GET_LENGTH(tail)
        line = PyUnicode_New(size, 127)
        out = copied(PyUnicode_1BYTE_DATA(line), self._prefix)
        if host != NULL:
            out = copied(out, <object>host)
            out[0] = c':'
            memcpy(out + 1, digits + PORT_DIGITS - digits_size, digits_size)
            out += 1 + digits_size
        out = copied(out, self._before_method)
        out = copied(out, <object>method)
        out[0] = c' '
        out = copied(out + 1, <object>path)
        query_size = PyBytes_GET_SIZE(<object>query)
        if query_size:
            out[0] = c'?'
            memcpy(out + 1, PyBytes_AS_STRING(<object>query), query_size)
            out += 1 + query_size
        memcpy(out, b" HTTP/", 6)
        out = copied(out + 6, <object>version)
        copied(out, tail)
        return line


cdef class Watch:
    """Remembers what some containers hold, object for object, and what some classes and modules have under a name.

    `dicts` and `lists` are the containers themselves, `methods` pairs of a class (or module) and a name.
    """

    def __init__(self, list dicts not None, list lists not None, list methods not None):
        self._dicts = dicts
        self._lists = lists
        self._methods = methods
        self._values = self._contents()
        self._sizes = [len(items) for items in lists]
        self._found = [getattr(owner, name) for owner, name in methods]

    cdef list _contents(self):
        contents = []
        for namespace in self._dicts:
            contents += namespace.values()
        for items in self._lists:
            contents += items
        return contents

    cpdef bint holds(self) except -1:
        """Whether the containers hold what they held: cheap enough for each line."""
        cdef Py_ssize_t i, k, position, count = PyList_GET_SIZE(self._values)
        cdef Py_ssize_t seen = 0
        cdef PyObject *key
        cdef PyObject *value
        cdef PyObject *owner
        for i in range(PyList_GET_SIZE(self._dicts)):
            owner = PyList_GET_ITEM(self._dicts, i)
            position = 0
            while PyDict_Next(<object>owner, &position, &key, &value):
                if seen >= count or value != PyList_GET_ITEM(self._values, seen):
                    return False
                seen += 1
        for i in range(PyList_GET_SIZE(self._lists)):
            owner = PyList_GET_ITEM(self._lists, i)
            if PyList_GET_SIZE(<object>owner) != <object>PyList_GET_ITEM(self._sizes, i):
                return False
            for k in range(PyList_GET_SIZE(<object>owner)):
                if seen >= count or PyList_GET_ITEM(<object>owner, k) != PyList_GET_ITEM(self._values, seen):
                    return False
                seen += 1
        return seen == count

    cpdef bint methods_hold(self) except -1:
        """Whether the classes have the methods that they had."""
        cdef Py_ssize_t i = 0
        for owner, name in self._methods:
            if getattr(owner, name) is not self._found[i]:
                return False
            i += 1
        return True
