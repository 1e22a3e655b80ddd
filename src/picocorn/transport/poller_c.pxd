# What the rooms of this folder need to see of poller_c.pyx.

from libc.stdint cimport int64_t, uint32_t, uint64_t

from .linux cimport CLOCK_MONOTONIC, clock_gettime, epoll_event, timespec


cdef enum:
    RECEIVE_BYTES = 65536           # what one recv() takes at most, and so what one chatty peer gets of a turn
    BULK_RECEIVE_BYTES = 262144     # the same for a connection whose last recv() filled that: half the cost per byte of an upload
    # Ready sockets handled in one turn before the loop's other callbacks get theirs. Epoll hands out its ready list round robin,
    # so what does not fit comes first in the next turn.
    EVENTS_PER_TURN = 128


cdef struct Turn:
    epoll_event events[EVENTS_PER_TURN]
    int count
    int position                    # how many of them are handled, or being so
    Turn* outer                     # the turn in which an application runs the loop that has led to this one, or NULL


cdef inline int64_t now_nanoseconds() noexcept:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec * 1000000000 + now.tv_nsec


cdef class Watcher:
    cdef readonly Poller poller
    cdef int fd                     # -1 once given back to the kernel
    cdef uint32_t generation        # tells this owner of the number `fd` from earlier and later ones
    cdef uint32_t watched           # the epoll interest the kernel knows of; meaningless while not registered
    cdef bint registered
    cdef bint dirty                 # in poller.dirty

    cdef int handle(self, uint32_t events) except -1
    cdef int read_ahead(self) except -1
    cdef int deliver_later(self) except -1
    cdef int flush(self) except -1
    cdef int finish(self) except -1
    cdef int look_again(self) except -1
    cdef int cut(self) except -1
    cdef int watch(self, uint32_t events) except -1
    cdef int unwatch(self) except -1


cdef class Poller:
    cdef object __weakref__
    cdef readonly object loop
    cdef int epfd
    cdef unsigned char* buffer      # what recv() fills; copied out before any Python runs
    cdef list owners                # Watcher or None, by file descriptor
    cdef uint32_t generations       # given out so far
    cdef int alive                  # watchers added and not finished
    cdef int* share                 # where other processes look how many these are, or NULL
    cdef object share_table         # keeps that alive
    cdef Watcher looking_away       # a listener that waits for these to become fewer, or None
    cdef int look_again_at          # as few as that
    cdef Turn* turn                 # the one under way, or NULL
    cdef list dirty                 # transports with unflushed writes
    cdef int64_t dirty_since_ns
    cdef object context
    cdef list lost                  # watchers whose finish() is due
    cdef bint is_flush_due
    cdef bint is_finish_due
    cdef readonly uint64_t sends    # send system calls, for tests and benchmarks

    cdef int read_ahead(self, Turn* turn) except -1
    cdef int handle_event(self, epoll_event* event) except -1
    cdef int handle_read_ahead(self, Turn* turn) except -1
    cdef int deliver_later(self, Turn* turn) except -1
    cdef Watcher owner(self, uint64_t key)
    cdef int admit(self, Watcher watcher) except -1
    cdef int mark_dirty(self, Watcher watcher) except -1
    cdef int flush_dirty(self) except -1
    cdef int flush_late(self) except -1
    cdef int lose(self, Watcher watcher) except -1
    cdef int report(self, str message, object error, object transport, object protocol) except -1
    cdef int show_share(self, object table, int number) except -1
    cdef int begin(self) except -1
    cdef int end(self) except -1
    cdef int release_lost(self) except -1


cdef Poller poller_of(object loop)
