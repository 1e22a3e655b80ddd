# cython: binding=False
# One listening socket in the poller: accepts in bounded batches, and backs off when the process is out of descriptors.
# Linux only. Knows sockets and transports; not how many listening sockets make a server.
#
# A socket that several processes accept on is shared evenly by counts of connections (sharing.py). EPOLLEXCLUSIVE would be no
# help: the kernel honours it for who sleeps in the epoll set that watches the socket, and ours is one that the loop's own set
# watches in turn; where it is honoured, it gives everything to the same process for as long as that is idle.

cimport cython
from libc.errno cimport EAGAIN, EBADF, EINVAL, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOTSOCK, EOPNOTSUPP, errno
from libc.stdint cimport int64_t, uint32_t

from .linux cimport EPOLLIN, SOCK_CLOEXEC, SOCK_NONBLOCK, accept4, sockaddr, sockaddr_storage, socklen_t
from .poller_c cimport Watcher, now_nanoseconds, poller_of
from .transport_c cimport PollerTransport, accepted

import logging
import os
import socket

cdef enum:
    # Connections taken in one turn. Few, so that of several processes on one listening socket each gets a share, and so that
    # a connection flood leaves room for those already here.
    ACCEPTS_PER_TURN = 16
    # And before the socket is closed: more than that are not waiting, they keep coming.
    LAST_ACCEPTS = 4096
    # Connections that this process may be ahead of the one with the fewest: so many, and a part of that one's number.
    LEAD = 2
    LEAD_PART = 16
    # For others to take what is left to them; between two looks whether they have.
    PATIENCE_NANOSECONDS = 25000000
    # Others that do not are busy, or stuck: they are not waited for again so soon.
    IMPATIENCE_NANOSECONDS = 1000000000

cdef double LEAVE_SECONDS = 0.001
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
    cdef int[::1] shares            # connections of the processes that accept on `sock`, None if there is only this one
    cdef int share                  # which of them is ours
    cdef int64_t left_since_ns      # when connections were first left to others that have not been taken since, or 0
    cdef int64_t impatient_until_ns

    def __init__(self, loop, protocol_factory, sock, share=None):
        cdef int error
        self.poller = poller_of(loop)
        self.factory = protocol_factory
        self.sock = sock
        self.sockname = own_name(sock)
        self.back_off_seconds = FIRST_BACK_OFF_SECONDS
        self.fd = sock.fileno()
        self.share = -1
        if share is not None:
            self.shares = share.table.cells
            self.share = share.number
            self.poller.show_share(share.table, share.number)
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

    def accept_waiting(self):
        """Accept all who have connected by now, also those that could be left to other processes."""
        if self.fd >= 0:
            self.stop_sharing()
            self.accept(LAST_ACCEPTS)

    cdef int stop_sharing(self) except -1:
        if self.share >= 0:
            self.share = -1
            self.shares = None
            self.poller.show_share(None, -1)
        return 0

    cdef int cut(self) except -1:
        if self.fd < 0:
            return 0
        if self.retry is not None:
            self.retry.cancel()
            self.retry = None
        self.unwatch()
        self.poller.owners[self.fd] = None
        self.fd = -1
        self.stop_sharing()
        self.sock.close()
        self.factory = None
        self.poller.end()
        return 0

    cdef int handle(self, uint32_t events) except -1:
        return self.accept(ACCEPTS_PER_TURN)

    cdef int accept(self, int count) except -1:
        cdef sockaddr_storage address
        cdef socklen_t size
        cdef int fd, error, _turn
        for _turn in range(count):
            if self.fd < 0:  # closed by the protocol made last
                return 0
            if self.share >= 0 and self.is_ahead():
                return self.leave_to_others()
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

    cdef bint is_ahead(self) noexcept:
        """Whether there is another process that should take the next connection."""
        cdef int* connections = &self.shares[0]
        cdef int own = connections[self.share]
        cdef int least = own
        cdef int number, other
        for number in range(self.shares.shape[0]):
            other = connections[number]
            if other < least and other >= 0:
                least = other
        least += LEAD + least // LEAD_PART
        if own < least:
            self.left_since_ns = 0
            return False
        cdef int64_t now = now_nanoseconds()
        if now < self.impatient_until_ns:
            return False
        if self.left_since_ns == 0:
            self.left_since_ns = now
        elif now - self.left_since_ns > PATIENCE_NANOSECONDS:
            self.left_since_ns = 0
            self.impatient_until_ns = now + IMPATIENCE_NANOSECONDS
            return False
        # When connections are short it is soon not ahead any more: then nobody waits.
        self.poller.look_again_at = least - 1
        return True

    cdef int leave_to_others(self) except -1:
        """Look away for a moment: epoll would report the connection again at once."""
        self.unwatch()
        self.retry = self.poller.loop.call_later(LEAVE_SECONDS, self._accept_again)
        self.poller.looking_away = self
        return 0

    cdef int look_again(self) except -1:
        self.poller.looking_away = None
        if self.retry is not None:
            self.retry.cancel()
            self._accept_again()
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
        if self.poller.looking_away is self:
            self.poller.looking_away = None
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
