# cython: binding=False
# One listening socket in the poller: accepts in bounded batches, and backs off when the process is out of descriptors.
# Linux only. Knows sockets and transports; not how many listening sockets make a server.

cimport cython
from libc.errno cimport EAGAIN, EBADF, EINVAL, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOTSOCK, EOPNOTSUPP, errno
from libc.stdint cimport uint32_t

from .linux cimport EPOLLIN, SOCK_CLOEXEC, SOCK_NONBLOCK, accept4, sockaddr, sockaddr_storage, socklen_t
from .poller_c cimport Watcher, poller_of
from .transport_c cimport PollerTransport, accepted

import logging
import os
import socket

cdef enum:
    # Connections taken in one turn. Few, so that of several processes on one listening socket each gets a share, and so that
    # a connection flood leaves room for those already here.
    ACCEPTS_PER_TURN = 16

cdef double FIRST_BACK_OFF_SECONDS = 0.1
cdef double LONGEST_BACK_OFF_SECONDS = 1.0

_logger = logging.getLogger("picocorn.error")


@cython.final
@cython.no_gc_clear  # as for Poller
cdef class Listener(Watcher):
    """Accepts on `sock` (already listening and non-blocking) on behalf of `loop` until close(), which closes `sock` too."""

    cdef object factory
    cdef object sock
    cdef object sockname            # None if every connection has another one
    cdef object retry               # the timer of a back-off under way, or None
    cdef double back_off_seconds

    def __init__(self, loop, protocol_factory, sock):
        cdef int error
        self.poller = poller_of(loop)
        self.factory = protocol_factory
        self.sock = sock
        self.sockname = own_name(sock)
        self.back_off_seconds = FIRST_BACK_OFF_SECONDS
        self.fd = sock.fileno()
        self.poller.admit(self)
        error = self.watch(EPOLLIN)
        if error:
            self.poller.owners[self.fd] = None
            self.fd = -1
            self.poller.end()
            raise OSError(error, os.strerror(error))

    def __repr__(self):
        return f"<Listener fd={self.fd}>"

    def close(self):
        """Stop accepting and close the socket. Connections stay."""
        self.cut()

    cdef int cut(self) except -1:
        if self.fd < 0:
            return 0
        if self.retry is not None:
            self.retry.cancel()
            self.retry = None
        self.unwatch()
        self.poller.owners[self.fd] = None
        self.fd = -1
        self.sock.close()
        self.factory = None
        self.poller.end()
        return 0

    cdef int handle(self, uint32_t events) except -1:
        cdef sockaddr_storage address
        cdef socklen_t size
        cdef int fd, error, _turn
        for _turn in range(ACCEPTS_PER_TURN):
            if self.fd < 0:  # closed by the protocol made last
                return 0
            size = sizeof(address)
            fd = accept4(self.fd, <sockaddr*> &address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC)
            if fd >= 0:
                self.back_off_seconds = FIRST_BACK_OFF_SECONDS
                self.connected(accepted(self.poller, fd, &address, size, self.sockname))
                self.poller.flush_late()
                continue
            error = errno
            if error == EAGAIN:
                return 0
            if error == EMFILE or error == ENFILE or error == ENOBUFS or error == ENOMEM:
                return self.back_off(error)
            if error == EBADF or error == EINVAL or error == ENOTSOCK or error == EOPNOTSUPP:
                return self.broken(error)
            # Anything else is the trouble of the connection that was being accepted (accept(2), "Error handling").
        return 0

    cdef int connected(self, PollerTransport transport) except -1:
        cdef int error
        try:
            transport.protocol = self.factory()
        except BaseException as failure:
            transport.discard()
            self.poller.report("Fatal error: the protocol factory failed.", failure, None, None)
            return 0
        error = transport.start()
        if error:
            self.back_off(error)
        return 0

    cdef int back_off(self, int error) except -1:
        """Leave the backlog alone for a while: epoll would report it again at once, and nothing could be done about it."""
        if self.fd < 0 or self.retry is not None:
            return 0
        self.unwatch()
        self.retry = self.poller.loop.call_later(self.back_off_seconds, self._accept_again)
        _logger.warning("Cannot accept connections (%s); trying again in %.1f s", os.strerror(error), self.back_off_seconds)
        self.back_off_seconds = min(2 * self.back_off_seconds, LONGEST_BACK_OFF_SECONDS)
        return 0

    def _accept_again(self):
        cdef int error
        self.retry = None
        if self.fd < 0:
            return
        error = self.watch(EPOLLIN)
        if error:
            self.back_off(error)

    cdef int broken(self, int error) except -1:
        failure = OSError(error, os.strerror(error))
        self.poller.report("A listening socket cannot accept any more", failure, None, None)
        return self.cut()


cdef object own_name(object sock):
    """The name that all connections to `sock` share, or None if it is bound to a wildcard."""
    name = sock.getsockname()
    if sock.family in (socket.AF_INET, socket.AF_INET6) and name[0] in ("0.0.0.0", "::"):
        return None
    return name
