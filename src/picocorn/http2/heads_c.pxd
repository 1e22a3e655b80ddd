# Types for heads_py.py, which is compiled a second time as heads_c.

cimport cython

from ..base.request_head_c cimport RequestHead

cdef int PLAIN
cdef int FORWARDED
cdef int COOKIE
cdef int HOST
cdef int CONTENT_LENGTH
cdef int EXPECT
cdef int PRIORITY
cdef int METHOD
cdef int SCHEME
cdef int AUTHORITY
cdef int PATH
cdef int PROTOCOL
cdef int BAD_NAME
cdef int BAD_VALUE
cdef int BAD_CONNECTION
cdef int BAD_TE
cdef int BAD_PSEUDO
cdef int FIELD_OVERHEAD_BYTES
cdef int HARD_LIMIT_FACTOR
cdef int DEFAULT_URGENCY
cdef int METHOD_BYTES
cdef dict _BAD_KINDS
cdef dict _KINDS
cdef dict _METHODS
cdef list _NOTHING


@cython.locals(kind=int)
cpdef int judge_field(bytes name, bytes value) except -1
cpdef tuple read_priority(bytes value)
cpdef long long content_length_of(bytes value) except? -1


cdef class HeadBuilder:
    # of the last section
    cdef readonly str verdict
    cdef readonly bytes protocol
    cdef readonly bint authority_present
    cdef readonly int urgency
    cdef readonly bint incremental

    # limits
    cdef Py_ssize_t _limit_bytes
    cdef Py_ssize_t _hard_bytes
    cdef Py_ssize_t _limit_fields

    # the section so far
    cdef bint _trailers
    cdef bint _in_fields
    cdef Py_ssize_t _size_bytes
    cdef Py_ssize_t _count
    cdef list _fields
    cdef bytes _method
    cdef bytes _scheme
    cdef bytes _authority
    cdef bytes _path
    cdef bytes _host
    cdef list _cookies
    cdef Py_ssize_t _cookie_place
    cdef long long _content_length
    cdef bint _expect
    cdef bint _forwarded

    # what the last request had
    cdef bytes _known_authority
    cdef tuple _known_host_field
    cdef bytes _known_method
    cdef str _known_name
    cdef bytes _known_path
    cdef bytes _known_raw_path
    cdef bytes _known_query
    cdef bytes _known_scheme

    cpdef object begin(self, bint trailers)
    @cython.locals(name=bytes, value=bytes)
    cpdef bint add(self, tuple field, int kind) except -1
    @cython.locals(length="long long")
    cdef object _note(self, bytes value, int kind)
    @cython.locals(value=bytes)
    cdef object _add_special(self, tuple field, int kind)
    @cython.locals(verdict=str)
    cpdef str finish_trailers(self, bint end)
    @cython.locals(head=RequestHead, fields=list, method=bytes)
    cpdef RequestHead finish(self, bint end)
    @cython.locals(method=bytes)
    cdef object _judge(self)
    @cython.locals(path=bytes, raw_path=bytes, query=bytes)
    cdef object _judge_path(self, bytes method)
    @cython.locals(authority=bytes, host=bytes, scheme=bytes)
    cdef object _judge_host(self)
