"""Opening and reading files that need no waiting, native: straight into the bytes object. Twin of `files_cached_py.py`.

Linux alone can promise it; elsewhere both answer "not known". The system calls are made by number: the wheels are built with a
C library that is older than both.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t

import os

cdef extern from *:
    """
    #include <errno.h>
    #include <stdint.h>

    #if defined(__linux__)
    #include <fcntl.h>
    #include <sys/syscall.h>
    #include <sys/uio.h>
    #include <unistd.h>

    #if !defined(SYS_openat2) && !defined(__alpha__)
    #define SYS_openat2 437
    #endif
    #endif

    /* Fails with EAGAIN when a directory on the way is not in the kernel's cache: RESOLVE_CACHED. */
    static int pc_open_cached(const char *path, int flags)
    {
    #if defined(__linux__) && defined(SYS_openat2)
        struct { uint64_t flags, mode, resolve; } how = {(uint64_t)(unsigned int)flags, 0, 0x20};
        return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
    #else
        (void)path;
        (void)flags;
        errno = ENOSYS;
        return -1;
    #endif
    }

    /* Fails with EAGAIN when the file's page is not in the kernel's cache: RWF_NOWAIT. */
    static long pc_read_cached(int fd, void *into, size_t size, int64_t offset)
    {
    #if defined(__linux__) && defined(SYS_preadv2)
        struct iovec vector = {into, size};
        return syscall(SYS_preadv2, fd, &vector, 1ul, (unsigned long)offset, (unsigned long)((uint64_t)offset >> 32), 0x8);
    #else
        (void)fd;
        (void)into;
        (void)size;
        (void)offset;
        errno = ENOSYS;
        return -1;
    #endif
    }
    """
    int pc_open_cached(const char *path, int flags)
    long pc_read_cached(int fd, void *into, size_t size, int64_t offset)

__all__ = ["open_cached", "read_cached"]


cpdef int open_cached(object path, int flags) except? -2:
    """Open `path` without waiting for a disk; -1 when it was not opened. See the pure twin."""
    cdef bytes name = os.fsencode(path)
    if b"\0" in name:
        return -1
    return pc_open_cached(PyBytes_AS_STRING(name), flags)


cpdef object read_cached(int descriptor, Py_ssize_t size_bytes, int64_t offset):
    """Read without waiting for a disk; None when nothing was read. See the pure twin."""
    cdef bytes data
    cdef long count
    if size_bytes < 0:
        raise ValueError(f"cannot read {size_bytes} bytes")
    if offset < 0:
        return None  # -1 would mean the file's own position
    data = PyBytes_FromStringAndSize(NULL, size_bytes)
    count = pc_read_cached(descriptor, PyBytes_AS_STRING(data), size_bytes, offset)
    if count < 0:
        return None
    return data if count == size_bytes else PyBytes_FromStringAndSize(PyBytes_AS_STRING(data), count)
