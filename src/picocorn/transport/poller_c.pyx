# cython: binding=False, boundscheck=False, wraparound=False
# The readiness set of one event loop: an epoll of its own, watched by the loop as one reader, and what has to happen once for
# all sockets: one turn over everything ready, one flush of everything written. Linux only, no pure twin (the loop's own
# transports are the fallback). Knows file descriptors and `Watcher`s; not what a watcher does with its socket.
#
# Python code runs inside every callback and may close, start or write to anything, or run the loop again. So nothing borrowed
# is held across one: events live on the C stack of their turn, and an event is delivered only if the number that the kernel
# hands back (descriptor and generation) still names the same owner.

cimport cython
from cpython.list cimport PyList_GET_SIZE
from libc.errno cimport EINTR, errno
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from .linux cimport (
    EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLIN,
    close_descriptor, epoll_create1, epoll_ctl, epoll_event, epoll_wait,
)

import contextvars
import os
import weakref

from .sharing import NOBODY

cdef enum:
    # A turn that has run longer than this since its first unflushed write flushes early: slow handlers do not hold fast
    # answers hostage, and fast turns still cost one wake-up per peer. 1 ms would flush after twelve models of FastAPI, which
    # took 5% more CPU time for it; a mix of handlers of 0.1 and 10 ms has the same latencies with both.
    LATENCY_GUARD_NANOSECONDS = 4000000


cdef class Watcher:
    """One file descriptor in the readiness set: a listening socket or a connection."""

    def __cinit__(self):
        self.fd = -1

    cdef int handle(self, uint32_t events) except -1:
        """Do what `events` ask for. Only SystemExit and KeyboardInterrupt may leave."""
        raise NotImplementedError

    cdef int read_ahead(self) except -1:
        """Take from the kernel what `handle` is going to deliver in this turn. Runs no Python of others."""
        return 0

    cdef int deliver_later(self) except -1:
        """Have the loop deliver what was read ahead, if anything was: this turn does not."""
        return 0

    cdef int flush(self) except -1:
        """Send what is queued. Runs no Python of others."""
        raise NotImplementedError

    cdef int finish(self) except -1:
        """Tell the owner that the descriptor is lost, then give it back."""
        raise NotImplementedError

    cdef int look_again(self) except -1:
        """There is room for what was left to other processes."""
        raise NotImplementedError

    cdef int cut(self) except -1:
        """Stop now, dropping what is queued."""
        raise NotImplementedError

    cdef int watch(self, uint32_t events) except -1:
        """Make `events` what epoll reports (errors and hang-ups it always does). Returns 0 or an errno."""
        cdef epoll_event interest
        if self.registered and self.watched == events:
            return 0
        interest.events = events
        interest.data.u64 = (<uint64_t> self.generation << 32) | <uint32_t> self.fd
        if epoll_ctl(self.poller.epfd, EPOLL_CTL_MOD if self.registered else EPOLL_CTL_ADD, self.fd, &interest) < 0:
            return errno
        self.registered = True
        self.watched = events
        return 0

    cdef int unwatch(self) except -1:
        # Said aloud even before close(): a copy of the descriptor in a forked process would keep the registration, and with it
        # events nobody can stop, alive.
        cdef epoll_event unused
        if self.registered:
            self.registered = False
            unused.events = 0
            epoll_ctl(self.poller.epfd, EPOLL_CTL_DEL, self.fd, &unused)
        return 0


@cython.final
@cython.no_gc_clear  # watchers may still call in while the collector takes a cycle apart; `owners` is what breaks the cycle
cdef class Poller:
    """All native sockets of one event loop. Holds an epoll descriptor only while there is something to watch."""

    def __cinit__(self, loop):
        self.epfd = -1
        self.loop = loop
        self.owners = []
        self.dirty = []
        self.lost = []
        # What is called later may have been asked for within a request, whose variables it must not see.
        self.context = contextvars.copy_context()
        self.buffer = <unsigned char*> malloc(RECEIVE_BYTES)
        if self.buffer == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.buffer)
        if self.epfd >= 0:
            close_descriptor(self.epfd)

    def __repr__(self):
        return f"<Poller epoll={self.epfd} watching={self.alive}>"

    @property
    def watching(self):
        """How many listening sockets and connections there are (int)."""
        return self.alive

    def fileno(self):
        """The epoll descriptor (int), -1 while there is nothing to watch."""
        return self.epfd

    def close(self):
        """Stop all listening sockets and abort all connections; their `connection_lost` follows from the loop."""
        cdef Watcher watcher
        for owner in list(self.owners):
            watcher = owner
            if watcher is not None:
                watcher.cut()

    # --- membership -------------------------------------------------------------------------------------------------------

    cdef int admit(self, Watcher watcher) except -1:
        """Take `watcher` in. What the kernel is to watch is for it to say."""
        if self.epfd < 0:
            self.begin()
        self.generations += 1
        watcher.generation = self.generations
        while PyList_GET_SIZE(self.owners) <= watcher.fd:
            self.owners.append(None)
        self.owners[watcher.fd] = watcher
        self.alive += 1
        if self.share != NULL:
            self.share[0] = self.alive
        return 0

    cdef int show_share(self, object table, int number) except -1:
        """Let other processes see how many watchers there are, in a cell of `table`; number -1: not any more."""
        cdef int[::1] cells
        if number >= 0:
            cells = table.cells
            self.share_table = cells
            self.share = &cells[number]
            self.share[0] = self.alive
        elif self.share != NULL:
            self.share[0] = NOBODY
            self.share = NULL
            self.share_table = None
            self.looking_away = None
        return 0

    cdef int begin(self) except -1:
        cdef int epfd = epoll_create1(EPOLL_CLOEXEC)
        if epfd < 0:
            raise OSError(errno, os.strerror(errno))
        try:
            self.loop.add_reader(epfd, self._on_ready)
        except BaseException:
            close_descriptor(epfd)
            raise
        self.epfd = epfd
        return 0

    cdef int end(self) except -1:
        """Count one watcher less; the last one takes the epoll descriptor along."""
        self.alive -= 1
        if self.share != NULL:
            self.share[0] = self.alive
            if self.looking_away is not None and self.alive <= self.look_again_at:
                self.looking_away.look_again()
        if self.alive > 0 or self.epfd < 0:
            return 0
        self.alive = 0
        epfd = self.epfd
        self.epfd = -1
        try:
            if not self.loop.is_closed():
                self.loop.remove_reader(epfd)
        finally:
            close_descriptor(epfd)
        return 0

    cdef int lose(self, Watcher watcher) except -1:
        """Forget `watcher`, and have its `finish()` run from the loop: never within the call that lost it."""
        watcher.unwatch()
        self.owners[watcher.fd] = None
        self.lost.append(watcher)
        if not self.is_finish_due:
            self.is_finish_due = True
            try:
                self.loop.call_soon(self._finish_lost, context=self.context)
            except RuntimeError:
                # A closed loop calls nobody any more: nothing to tell, only descriptors to give back.
                if not self.loop.is_closed():
                    raise
                self.release_lost()
        return 0

    cdef int release_lost(self) except -1:
        cdef Watcher watcher
        self.is_finish_due = False
        lost, self.lost = self.lost, []
        for owner in lost:
            watcher = owner
            close_descriptor(watcher.fd)
            watcher.fd = -1
            self.end()
        return 0

    def _finish_lost(self):
        cdef Watcher watcher
        cdef Py_ssize_t done = 0
        cdef list lost = self.lost
        self.lost = []
        self.is_finish_due = False
        try:
            while done < PyList_GET_SIZE(lost):
                watcher = lost[done]
                done += 1
                watcher.finish()
        finally:
            if done < PyList_GET_SIZE(lost):  # SystemExit or KeyboardInterrupt on its way through; the others are still due
                self.lost = lost[done:] + self.lost
                if not self.is_finish_due:
                    self.is_finish_due = True
                    self.loop.call_soon(self._finish_lost, context=self.context)

    # --- one turn ---------------------------------------------------------------------------------------------------------

    def _on_ready(self):
        cdef Turn turn
        if self.epfd < 0:
            return
        turn.position = 0
        turn.count = epoll_wait(self.epfd, turn.events, EVENTS_PER_TURN, 0)
        if turn.count < 0:
            if errno == EINTR:
                return
            raise OSError(errno, os.strerror(errno))
        turn.outer = self.turn
        self.turn = &turn
        try:
            if turn.outer != NULL:
                self.handle_read_ahead(turn.outer)
            self.read_ahead(&turn)
            while turn.position < turn.count:
                turn.position += 1
                self.handle_event(&turn.events[turn.position - 1])
        finally:
            self.turn = turn.outer
            if turn.position < turn.count:  # SystemExit or KeyboardInterrupt on its way through
                self.deliver_later(&turn)
            self.flush_dirty()

    cdef int read_ahead(self, Turn* turn) except -1:
        """Receive from all before any is answered: an application between two recv() finds its caches cold, and so does recv().

        All but the last. As long as something that was read is undelivered the kernel so has something to report, and a loop
        that an application runs inside itself comes back here, if it is one that enters its readers' contexts twice.
        """
        cdef Watcher watcher
        cdef int i
        for i in range(turn.count - 1):
            if turn.events[i].events == EPOLLIN:
                watcher = self.owner(turn.events[i].data.u64)
                if watcher is not None:
                    watcher.read_ahead()
        return 0

    cdef int handle_event(self, epoll_event* event) except -1:
        cdef Watcher watcher = self.owner(event.data.u64)
        if watcher is not None:
            watcher.handle(event.events)
            self.flush_late()
        return 0

    cdef int handle_read_ahead(self, Turn* turn) except -1:
        """What the turns around this one, which are still under way, have read but not delivered."""
        cdef int i
        while turn != NULL:
            for i in range(turn.position, turn.count):
                if turn.events[i].events == EPOLLIN:
                    self.handle_event(&turn.events[i])
            turn = turn.outer
        return 0

    cdef int deliver_later(self, Turn* turn) except -1:
        cdef Watcher watcher
        cdef int i
        for i in range(turn.position, turn.count):
            watcher = self.owner(turn.events[i].data.u64)
            if watcher is not None:
                watcher.deliver_later()
        return 0

    cdef Watcher owner(self, uint64_t key):
        """Whom the kernel means. None if they are lost or parked, or the event was for another owner of a re-used number."""
        cdef Watcher watcher
        cdef Py_ssize_t fd = <uint32_t> key
        if fd >= PyList_GET_SIZE(self.owners):
            return None
        watcher = <Watcher> self.owners[fd]
        if watcher is None or not watcher.registered or watcher.generation != key >> 32:
            return None
        return watcher

    # --- one flush --------------------------------------------------------------------------------------------------------

    cdef int mark_dirty(self, Watcher watcher) except -1:
        """Have `watcher` flushed at the end of this turn, or with the next callbacks of the loop if this is none of ours."""
        self.dirty.append(watcher)
        watcher.dirty = True
        if PyList_GET_SIZE(self.dirty) == 1:
            self.dirty_since_ns = now_nanoseconds()
        elif self.turn == NULL and now_nanoseconds() - self.dirty_since_ns > LATENCY_GUARD_NANOSECONDS:
            return self.flush_dirty()
        if self.turn == NULL and not self.is_flush_due:
            self.loop.call_soon(self._flush_due, context=self.context)
            self.is_flush_due = True
        return 0

    cdef int flush_late(self) except -1:
        """Flush if answers have waited long enough for the others of their turn."""
        if PyList_GET_SIZE(self.dirty) and now_nanoseconds() - self.dirty_since_ns > LATENCY_GUARD_NANOSECONDS:
            return self.flush_dirty()
        return 0

    def _flush_due(self):
        self.is_flush_due = False
        self.flush_dirty()

    cdef int flush_dirty(self) except -1:
        cdef Watcher watcher
        cdef list dirty = self.dirty
        if PyList_GET_SIZE(dirty) == 0:
            return 0
        self.dirty = []
        for owner in dirty:
            watcher = <Watcher> owner
            watcher.dirty = False
            try:
                watcher.flush()
            except Exception as error:
                self.report("Fatal error: flushing failed", error, watcher, None)
        return 0

    cdef int report(self, str message, object error, object transport, object protocol) except -1:
        """Hand an exception to the loop's handler, in asyncio's words; SystemExit and KeyboardInterrupt go on upwards."""
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            raise error
        context = {"message": message, "exception": error}
        if transport is not None:
            context["transport"] = transport
        if protocol is not None:
            context["protocol"] = protocol
        self.loop.call_exception_handler(context)
        return 0


# Weak on both sides: a loop must not live because of its poller, nor a poller because it was looked up once.
cdef object _pollers = weakref.WeakKeyDictionary()


cdef Poller poller_of(object loop):
    """The poller of `loop`, made when there is none."""
    cdef object reference = _pollers.get(loop)
    cdef object poller = None if reference is None else reference()
    if poller is None:
        poller = Poller(loop)
        _pollers[loop] = weakref.ref(poller)
    return poller
