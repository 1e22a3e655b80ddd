# cython: binding=False, boundscheck=False, wraparound=False
# One native connection, with the methods of asyncio.Transport: its queue of unsent bytes and its reading state. Linux only.
# Knows its poller and its protocol's asyncio callbacks; nothing of HTTP.
#
# What differs from asyncio's own transport: write() only queues, and the poller flushes once per turn. Writes after close()
# are dropped. The descriptor is closed after connection_lost(), which always comes from the loop, never from within a call.

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_WarnEx
from cpython.list cimport PyList_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from libc.errno cimport EAGAIN, EINTR, ENOMEM, EPIPE, errno
from libc.stdint cimport uint32_t
from libc.string cimport memcpy, memset

from .linux cimport (
    AF_INET, AF_INET6, AF_UNIX, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, INET6_ADDRSTRLEN, MSG_MORE, MSG_NOSIGNAL, SHUT_WR,
    SO_ERROR, SOL_SOCKET, close_descriptor, getsockname, getsockopt, inet_ntop, iovec, msghdr, ntohl, ntohs, recv, send, sendmsg,
    shutdown, sockaddr, sockaddr_in, sockaddr_in6, sockaddr_storage, sockaddr_un, socklen_t,
)
from .poller_c cimport BULK_RECEIVE_BYTES, RECEIVE_BYTES, Poller, Watcher

import os
import socket
from asyncio.trsock import TransportSocket

from ..base.limits import HIGH_WATER_BYTES, LOW_WATER_BYTES

cdef extern from "Python.h":
    # With plain pointers, for the one object that is changed while it is made.
    PyObject *new_bytes "PyBytes_FromStringAndSize"(const char *data, Py_ssize_t size) except NULL
    int _PyBytes_Resize(PyObject **data, Py_ssize_t size) except -1

cdef enum:
    VECTORS_PER_SEND = 64

cdef Py_ssize_t DEFAULT_HIGH_BYTES = HIGH_WATER_BYTES
cdef Py_ssize_t DEFAULT_LOW_BYTES = LOW_WATER_BYTES


# No freelist: Cython offers none to a class with a base, and at this size CPython's small-object allocator is one already.
@cython.final
@cython.no_gc_clear  # a protocol may still call in while the collector takes a cycle apart; the protocol is what breaks it
cdef class PollerTransport(Watcher):
    """A connection. The methods are asyncio.Transport's; see there for what is not said here."""

    def __dealloc__(self):
        if self.fd < 0:
            return
        # Only after a loop that was dropped without ending its connections.
        if self.sock is not None:
            self.sock.detach()
        close_descriptor(self.fd)
        PyErr_WarnEx(ResourceWarning, b"a connection was dropped without being closed", 1)

    def __repr__(self):
        state = "lost" if self.is_lost else "closing" if self.is_closed else "paused" if self.is_paused else "reading"
        return f"<PollerTransport fd={self.fd} {state} queued={self.queued_bytes}>"

    cdef int start(self) except -1:
        """Tell the protocol, receive what is there already, then begin to watch. Returns 0, or the errno why that failed."""
        cdef int error = 0
        self.poller.admit(self)
        try:
            self.protocol.connection_made(self)
        except BaseException as failure:
            self.callback_failed("connection_made", failure)
        # Most clients have sent their request by the time they are accepted, and of those that send no other the kernel never
        # need be asked to watch.
        try:
            if self.is_reading_now() and not self.registered:
                self.receive()
        finally:
            # SystemExit and KeyboardInterrupt go on upwards, and leave a connection like any other.
            if not self.is_lost and not self.registered and not (self.is_closed and self.dirty):
                error = self.watch(self.interest())
                if error:
                    self.fail(error)
        return error

    cdef int discard(self) except -1:
        """Close a connection that no protocol was told of."""
        close_descriptor(self.fd)
        self.fd = -1
        self.is_lost = self.is_closed = True
        self.protocol = None
        return 0

    # --- what it is -------------------------------------------------------------------------------------------------------

    def get_extra_info(self, name, default=None):
        """`peername`, `sockname` (as `socket.getpeername()` gives them) and `socket`; anything else is `default`.

        `socket` is an `asyncio.trsock.TransportSocket`: options and addresses, no reading, writing or closing. It looks at the
        connection's own descriptor and loses it when the connection does. What `set_extra_info` was given comes first.
        """
        if self.extra is not None and name in self.extra:
            return self.extra[name]
        if name == "peername":
            if self.peername is None:
                self.peername = inet_tuple(&self.peer)
            return self.peername
        if name == "sockname":
            if self.sockname is None and self.fd >= 0:
                self.sockname = local_address(self.fd)
            return default if self.sockname is None else self.sockname
        if name == "socket":
            if self.sock is None:
                if self.fd < 0:
                    return default
                self.sock = socket.socket(fileno=self.fd)
            return TransportSocket(self.sock)
        return default

    def set_extra_info(self, extra):
        """Have `get_extra_info` tell what is in `extra` (dict), in place of what it knows itself."""
        self.extra = extra

    def fileno(self):
        """The descriptor (int), -1 once the connection is lost."""
        return self.fd

    def set_protocol(self, protocol):
        """Give what is received from now on to `protocol`."""
        self.protocol = protocol

    def get_protocol(self):
        """The current protocol, None once it was told that the connection is lost."""
        return self.protocol

    # --- one event --------------------------------------------------------------------------------------------------------

    cdef int handle(self, uint32_t events) except -1:
        if self.is_lost:
            return 0
        if events & (EPOLLIN | EPOLLERR | EPOLLHUP):
            if self.is_reading_now():
                self.receive()
            elif events & (EPOLLERR | EPOLLHUP):
                self.hung_up()
            elif self.watched & EPOLLIN:
                # pause_reading() does not tell the kernel: most pauses are over before anything arrives.
                self.set_interest()
        if events & EPOLLOUT and self.is_blocked and not self.is_lost:
            self.send_queue()
            self.drained()
        return 0

    cdef bint is_reading_now(self) noexcept:
        return not (self.is_paused or self.got_eof or self.is_closed)

    cdef uint32_t interest(self) noexcept:
        return (EPOLLIN if self.is_reading_now() else 0) | (EPOLLOUT if self.is_blocked else 0)

    cdef int set_interest(self) except -1:
        cdef int error = self.watch(self.interest())
        if error:
            self.fail(error)
        return 0

    cdef int hung_up(self) except -1:
        """An error or a hang-up while nothing is being read: epoll reports it again and again until something is done."""
        cdef int error = 0
        cdef socklen_t size = sizeof(error)
        if getsockopt(self.fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0:
            error = errno
        if error:
            return self.fail(error)
        if self.queued_bytes:
            self.send_queue()
            if self.is_blocked and not self.is_lost:
                self.fail(EPIPE)
        elif self.got_eof:
            self.force_close(None)  # both directions are shut: nothing can happen here any more
        else:
            self.unwatch()  # paused, and bytes may be waiting: resume_reading() watches again
        return 0

    # --- reading ----------------------------------------------------------------------------------------------------------

    cdef int read_ahead(self) except -1:
        # Not in bulk: that much memory for each of a turn is what one recv() at a time is there to avoid.
        if self.arrived is None and self.is_reading_now() and not self.is_bulk:
            self.take()
        return 0

    cdef int deliver_later(self) except -1:
        if self.arrived is not None:
            self.poller.loop.call_soon(self._deliver_arrived, context=self.poller.context.copy())
        return 0

    def _deliver_arrived(self):
        if self.arrived is not None and self.is_reading_now():
            self.deliver()

    cdef int receive(self) except -1:
        if self.arrived is None:
            self.take()
        if self.arrived is not None:
            self.deliver()
        return 0

    cdef int take(self) except -1:
        """One recv(), into `arrived`."""
        cdef ssize_t count
        try:
            count = self.receive_bulk() if self.is_bulk else self.receive_some()
        except MemoryError:
            # What the kernel has handed over is gone, and what follows must never be taken for its continuation.
            count = -ENOMEM
        if count == 0:
            self.arrived = b""
        elif count < 0 and count != -EAGAIN and count != -EINTR:
            self.fail(<int> -count)
        return 0

    cdef ssize_t receive_some(self) except? -1:
        cdef ssize_t count = recv(self.fd, self.poller.buffer, RECEIVE_BYTES, 0)
        if count > 0:
            self.arrived = PyBytes_FromStringAndSize(<char*> self.poller.buffer, count)
            self.is_bulk = count == RECEIVE_BYTES
        return -errno if count < 0 else count

    cdef ssize_t receive_bulk(self) except? -1:
        # Straight into its own memory: there is enough of it for the copy to be what costs.
        cdef PyObject *room = new_bytes(NULL, BULK_RECEIVE_BYTES)
        cdef ssize_t count = recv(self.fd, PyBytes_AS_STRING(<object> room), BULK_RECEIVE_BYTES, 0)
        if count <= 0:
            count = -errno if count < 0 else 0
            Py_DECREF(<object> room)
            return count
        self.is_bulk = count >= RECEIVE_BYTES
        if count < BULK_RECEIVE_BYTES:
            _PyBytes_Resize(&room, count)  # in its place, while nobody else has seen it; NULL if that fails
        self.arrived = <bytes> room
        Py_DECREF(<object> room)
        return count

    cdef int deliver(self) except -1:
        cdef bytes data = self.arrived
        self.arrived = None  # first: the application runs inside, and may make the poller receive again
        if PyBytes_GET_SIZE(data) == 0:
            return self.receive_eof()
        try:
            self.protocol.data_received(data)
        except BaseException as failure:
            self.callback_failed("data_received", failure)
        return 0

    cdef int receive_eof(self) except -1:
        cdef bint keep_open = False
        self.got_eof = True
        try:
            keep_open = self.protocol.eof_received()
        except BaseException as failure:
            return self.callback_failed("eof_received", failure)
        if self.is_lost:
            return 0
        if not keep_open:
            self.close()
        else:
            self.set_interest()
        return 0

    def pause_reading(self):
        """Deliver no more data; a reset of the connection is still noticed."""
        if not self.is_closed:
            self.is_paused = True
            self.is_bulk = False  # an upload that nobody reads is held to the smaller size

    def resume_reading(self):
        """Deliver data again."""
        if self.is_closed or not self.is_paused:
            return
        self.is_paused = False
        self.deliver_later()
        self.set_interest()

    def is_reading(self):
        """Whether data is delivered as it arrives (bool)."""
        return not (self.is_paused or self.is_closed)

    # --- writing ----------------------------------------------------------------------------------------------------------

    cpdef write(self, data):
        """Queue `data` (bytes, bytearray or memoryview; the latter two are copied). Sent with this turn of the loop."""
        if self.wrote_eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        self.queue(data)
        self.after_write()

    def writelines(self, list_of_data):
        """Queue several pieces; they leave together."""
        if self.wrote_eof:
            raise RuntimeError("Cannot call writelines() after write_eof()")
        try:
            for data in list_of_data:
                self.queue(data)
        finally:
            # Pieces in front of a wrong one are written all the same, as by so many calls of write().
            self.after_write()

    def write_eof(self):
        """Shut the sending direction down once the queue is empty."""
        if self.is_closed or self.wrote_eof:
            return
        self.wrote_eof = True
        if self.queued_bytes == 0:
            shutdown(self.fd, SHUT_WR)

    def can_write_eof(self):
        """True."""
        return True

    cdef int queue(self, object data) except -1:
        cdef bytes buffer
        if type(data) is bytes:
            buffer = <bytes> data
        elif isinstance(data, (bytes, bytearray, memoryview)):
            buffer = bytes(data)
        else:
            raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")
        if self.is_closed or PyBytes_GET_SIZE(buffer) == 0:
            return 0
        if self.first is None:
            self.first = buffer
        elif self.more is None:
            self.more = [buffer]
        else:
            self.more.append(buffer)
        self.queued_bytes += PyBytes_GET_SIZE(buffer)
        return 0

    cdef int after_write(self) except -1:
        if self.queued_bytes <= self.high_bytes:
            if self.queued_bytes and not (self.dirty or self.is_blocked):
                self.poller.mark_dirty(self)
            return 0
        if not self.is_blocked:
            self.send_queue()
        if self.queued_bytes > self.high_bytes and not self.is_writer_paused:
            self.is_writer_paused = True
            try:
                self.protocol.pause_writing()
            except BaseException as failure:
                self.callback_failed("pause_writing", failure)
        return 0

    cdef int drained(self) except -1:
        """Let the protocol write again if it was paused and the queue is short again."""
        if self.is_writer_paused and self.queued_bytes <= self.low_bytes and not self.is_lost:
            self.is_writer_paused = False
            try:
                self.protocol.resume_writing()
            except BaseException as failure:
                self.callback_failed("resume_writing", failure)
        return 0

    cdef int flush(self) except -1:
        # Blocked since it was marked: EPOLLOUT is awaited, and only handle() may tell the protocol to write again.
        return 0 if self.is_blocked else self.send_queue()

    cdef int send_queue(self) except -1:
        cdef size_t offered = 0
        cdef ssize_t count
        cdef int error
        if self.is_lost:
            return 0
        while self.first is not None:
            count = self.send_some(&offered)
            if count < 0:
                error = errno
                if error == EINTR:
                    continue
                if error != EAGAIN:
                    return self.fail(error)
                break
            self.drop_sent(count)
            if <size_t> count < offered:
                break
        if self.first is not None:
            if not self.is_blocked:
                self.is_blocked = True
                self.set_interest()
            return 0
        if self.is_last():
            shutdown(self.fd, SHUT_WR)
        if self.is_closed:
            self.force_close(None)
        elif self.is_blocked:
            self.is_blocked = False
            self.set_interest()
        return 0

    cdef bint is_last(self) noexcept:
        """Whether the end of our direction follows the queue, an orderly one."""
        return (self.is_closed or self.wrote_eof) and not self.is_aborted

    cdef ssize_t send_some(self, size_t* offered) except -2:
        """One system call. `offered` becomes the number of bytes it was given."""
        cdef iovec vectors[VECTORS_PER_SEND]
        cdef msghdr message
        cdef int count = 1
        # The end travels in the packet of the last bytes: half the work for the kernel, one wake-up for the peer.
        cdef int flags = MSG_NOSIGNAL | MSG_MORE if self.is_last() else MSG_NOSIGNAL
        cdef Py_ssize_t i = self.more_start
        cdef char* start = PyBytes_AS_STRING(self.first) + self.first_sent
        offered[0] = PyBytes_GET_SIZE(self.first) - self.first_sent
        self.poller.sends += 1
        if self.more is None:
            return send(self.fd, start, offered[0], flags)
        vectors[0].iov_base = start
        vectors[0].iov_len = offered[0]
        while count < VECTORS_PER_SEND and i < PyList_GET_SIZE(self.more):
            buffer = self.more[i]
            vectors[count].iov_base = PyBytes_AS_STRING(buffer)
            vectors[count].iov_len = PyBytes_GET_SIZE(buffer)
            offered[0] += vectors[count].iov_len
            count += 1
            i += 1
        memset(&message, 0, sizeof(message))
        message.msg_iov = vectors
        message.msg_iovlen = count
        return sendmsg(self.fd, &message, flags)

    cdef int drop_sent(self, Py_ssize_t count) except -1:
        """Take the `count` bytes that have gone out of the queue."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(self.first) - self.first_sent
        self.queued_bytes -= count
        if count < size:
            self.first_sent += count
            return 0
        count -= size
        self.first = None
        self.first_sent = 0
        if self.more is None:
            return 0
        while self.more_start < PyList_GET_SIZE(self.more):
            buffer = self.more[self.more_start]
            self.more[self.more_start] = None
            self.more_start += 1
            size = PyBytes_GET_SIZE(buffer)
            if count < size:
                self.first = buffer
                self.first_sent = count
                break
            count -= size
        if self.more_start == PyList_GET_SIZE(self.more):
            self.more = None
            self.more_start = 0
        elif self.more_start * 2 > PyList_GET_SIZE(self.more):  # not each time: that would be quadratic
            del self.more[:self.more_start]
            self.more_start = 0
        return 0

    def set_write_buffer_limits(self, high=None, low=None):
        """When `pause_writing()` and `resume_writing()` are called, in bytes. Raises ValueError unless 0 <= low <= high."""
        if high is None:
            high = DEFAULT_HIGH_BYTES if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self.high_bytes = high
        self.low_bytes = low
        self.after_write()

    def get_write_buffer_limits(self):
        """(low, high) in bytes."""
        return (self.low_bytes, self.high_bytes)

    def get_write_buffer_size(self):
        """Bytes that the kernel has not taken yet."""
        return self.queued_bytes

    # --- ending -----------------------------------------------------------------------------------------------------------

    cpdef close(self):
        """Receive nothing more, send what is queued, then end."""
        if self.is_closed:
            return
        self.is_closed = True
        self.arrived = None
        if self.queued_bytes == 0:
            self.force_close(None)

    def abort(self):
        """End now. What the kernel takes at once still leaves, as asyncio's write() would have sent it; the rest is dropped."""
        self.is_aborted = True
        if self.dirty:
            self.send_queue()
        self.force_close(None)

    def is_closing(self):
        """Whether the connection has ended or is about to (bool)."""
        return self.is_closed

    cdef int cut(self) except -1:
        return self.force_close(None)

    cdef int fail(self, int error) except -1:
        return self.force_close(OSError(error, os.strerror(error)))

    cdef int callback_failed(self, str callback, object error) except -1:
        self.poller.report(f"Fatal error: protocol.{callback}() call failed.", error, self, self.protocol)
        return self.force_close(error)

    cdef int force_close(self, object error) except -1:
        if self.is_lost:
            return 0
        self.is_lost = True
        self.is_closed = True
        self.error = error
        self.arrived = None
        self.first = None
        self.more = None
        self.queued_bytes = 0
        return self.poller.lose(self)

    cdef int finish(self) except -1:
        try:
            self.protocol.connection_lost(self.error)
        except BaseException as failure:
            self.poller.report("Fatal error: protocol.connection_lost() call failed.", failure, self, self.protocol)
        finally:
            self.protocol = None
            self.error = None
            if self.sock is not None:
                self.sock.detach()
                self.sock = None
            close_descriptor(self.fd)
            self.fd = -1
            self.poller.end()
        return 0


# --- addresses ------------------------------------------------------------------------------------------------------------


cdef int read_inet(sockaddr_storage* address, PeerAddress* into) noexcept:
    """Keep an internet address in a quarter of the kernel's space for it. False for other families."""
    cdef sockaddr_in* four = <sockaddr_in*> address
    cdef sockaddr_in6* six = <sockaddr_in6*> address
    into.family = address.ss_family
    if address.ss_family == AF_INET:
        into.port = ntohs(four.sin_port)
        memcpy(&into.host, &four.sin_addr, sizeof(four.sin_addr))
        return True
    if address.ss_family == AF_INET6:
        into.port = ntohs(six.sin6_port)
        into.flow = ntohl(six.sin6_flowinfo)
        into.scope = six.sin6_scope_id
        into.host = six.sin6_addr
        return True
    return False


cdef object inet_tuple(PeerAddress* address):
    cdef char text[INET6_ADDRSTRLEN]
    if inet_ntop(address.family, &address.host, text, sizeof(text)) == NULL:
        raise OSError(errno, os.strerror(errno))
    host = text.decode("ascii")
    if address.family == AF_INET:
        return (host, address.port)
    return (host, address.port, address.flow, address.scope)


cdef object other_name(sockaddr_storage* address, uint32_t size):
    """A Unix socket's name as the `socket` module has it: a str, bytes when it is abstract, "" when it has none."""
    cdef sockaddr_un* unix_address = <sockaddr_un*> address
    cdef Py_ssize_t length = <Py_ssize_t> size - (<char*> unix_address.sun_path - <char*> unix_address)
    if address.ss_family != AF_UNIX or length <= 0:
        return ""
    name = PyBytes_FromStringAndSize(unix_address.sun_path, min(length, <Py_ssize_t> sizeof(unix_address.sun_path)))
    return name if name.startswith(b"\0") else os.fsdecode(name.split(b"\0", 1)[0])


cdef object local_address(int fd):
    cdef sockaddr_storage address
    cdef socklen_t size = sizeof(address)
    cdef PeerAddress read
    if getsockname(fd, <sockaddr*> &address, &size) < 0:
        return None
    return inet_tuple(&read) if read_inet(&address, &read) else other_name(&address, size)


cdef PollerTransport accepted(Poller poller, int fd, sockaddr_storage* address, uint32_t size, object sockname):
    """A transport for a descriptor that accept() has just given. `sockname` may be None: asked for when needed."""
    cdef PollerTransport transport = PollerTransport.__new__(PollerTransport)
    transport.poller = poller
    transport.fd = fd
    transport.sockname = sockname
    transport.high_bytes = DEFAULT_HIGH_BYTES
    transport.low_bytes = DEFAULT_LOW_BYTES
    if not read_inet(address, &transport.peer):
        transport.peername = other_name(address, size)
    return transport
