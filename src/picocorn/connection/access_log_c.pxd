# Types for access_log_py.py, which is compiled a second time as access_log_c.

cimport cython

from .access_line_c cimport LineFormat, Watch


cdef class AccessLog:
    cdef readonly object logger
    cdef object _shortcut
    cdef Watch _watch
    cdef LineFormat _format
    cdef object _output
    cdef list _lines

    @cython.locals(watch=Watch, lines=list, line_format=LineFormat)
    cpdef object log(self, object scope, int status)
    cdef object _look(self)
    cdef object _log_record(self, object scope, int status)
