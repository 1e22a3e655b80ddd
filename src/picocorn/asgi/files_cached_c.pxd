# Declarations of the native reads that never wait.

from libc.stdint cimport int64_t

cpdef int open_cached(object path, int flags) except? -2
cpdef object read_cached(int descriptor, Py_ssize_t size_bytes, int64_t offset)
