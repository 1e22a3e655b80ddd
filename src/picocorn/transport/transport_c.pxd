# What listener_c.pyx needs to see of transport_c.pyx.

from libc.stdint cimport uint32_t

from .linux cimport in6_addr, sockaddr_storage
from .poller_c cimport Poller, Watcher


cdef struct PeerAddress:
    int family                      # AF_INET or AF_INET6; 0 when `peername` is already there
    int port
    uint32_t flow
    uint32_t scope
    in6_addr host                   # an in_addr in its first bytes for AF_INET


cdef class PollerTransport(Watcher):
    cdef object protocol
    cdef object peername            # made from `peer` when asked for
    cdef object sockname            # likewise, unless the listening socket already knows it
    cdef object sock                # the socket object that get_extra_info("socket") made, or None
    cdef dict extra                 # what get_extra_info() tells in place of what is known here, or None
    cdef object error               # what connection_lost() will be told
    cdef PeerAddress peer

    cdef bytes arrived              # received and not delivered yet, empty for the end of the stream; or None
    cdef bytes first                # the oldest unsent buffer, or None
    cdef list more                  # the buffers behind it, or None
    cdef Py_ssize_t more_start      # how many of `more` have gone
    cdef Py_ssize_t first_sent      # bytes of `first` that have gone
    cdef Py_ssize_t queued_bytes
    cdef Py_ssize_t high_bytes
    cdef Py_ssize_t low_bytes

    cdef bint is_closed             # close() was called: reads no more, ends when the queue is empty
    cdef bint is_aborted            # abort() was called: no orderly end is promised to the peer
    cdef bint is_lost               # connection_lost() is due or done
    cdef bint is_paused             # the protocol asked for no more data
    cdef bint is_bulk               # the last recv() took all it could and the protocol did not mind
    cdef bint got_eof
    cdef bint wrote_eof
    cdef bint is_blocked            # the kernel took less than all; EPOLLOUT tells when to go on
    cdef bint is_writer_paused      # pause_writing() was called

    cpdef write(self, data)
    cpdef close(self)
    cdef int start(self) except -1
    cdef int discard(self) except -1
    cdef int force_close(self, object error) except -1
    cdef int fail(self, int error) except -1
    cdef int callback_failed(self, str callback, object error) except -1
    cdef int receive(self) except -1
    cdef int take(self) except -1
    cdef ssize_t receive_some(self) except? -1
    cdef ssize_t receive_bulk(self) except? -1
    cdef int deliver(self) except -1
    cdef int receive_eof(self) except -1
    cdef int hung_up(self) except -1
    cdef int drained(self) except -1
    cdef bint is_reading_now(self) noexcept
    cdef uint32_t interest(self) noexcept
    cdef int set_interest(self) except -1
    cdef int queue(self, object data) except -1
    cdef int send_queue(self) except -1
    cdef int after_write(self) except -1
    cdef ssize_t send_some(self, size_t* offered) except -2
    cdef bint is_last(self) noexcept
    cdef int drop_sent(self, Py_ssize_t count) except -1


cdef PollerTransport accepted(Poller poller, int fd, sockaddr_storage* address, uint32_t size, object sockname)
