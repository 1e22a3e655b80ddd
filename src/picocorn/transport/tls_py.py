"""TLS on any transport: towards that an asyncio-style protocol, towards the protocol behind it a transport. Server side only.

Records are the business of the standard library's `ssl`, by way of memory; here is when bytes go in and out of it, how it ends.
Knows neither certificates nor HTTP. Compiled a second time as `tls_c`; a native engine could do with `tls_settings` alone.

The protocol behind runs inside `data_received` and may close, abort or pause: so state is looked at again after each call.
"""

from __future__ import annotations

import contextlib
import logging
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from .tls_settings import TLSSettings

__all__ = ["TLSConnection"]

logger = logging.getLogger("picocorn.error")

#: States, in the order in which they follow on each other.
HANDSHAKE = 0
OPEN = 1
#: nothing is taken from the peer any more; what is queued leaves, then close_notify, then the transport ends
CLOSING = 2
#: nothing is sent any more either
ENDED = 3

#: The most that one record carries (RFC 8446 5.1): `ssl` allocates what it is asked for.
RECORD_BYTES = 16384
#: What the protocol is given at once, of an upload.
DELIVERY_BYTES = 65536
#: Encrypted at once. What the client does not take meanwhile stays plain, and is not in memory twice.
WRITE_BYTES = 262144
#: The first byte of a TLS handshake (RFC 8446 5.1).
HANDSHAKE_RECORD = 0x16
#: For somebody who does not speak TLS to read why not.
LAST_WORDS_SECONDS = 5.0
#: Of what comes after the end.
DROPPED_BYTES = 16 * 1024 * 1024
#: For the first request on a connection whose handshake the end of the server has met, and before it for the handshake.
FIRST_REQUEST_SECONDS = 1.0
#: What `get_extra_info` knows of the `ssl` object.
EXTRA_INFO: dict[str, Callable[[Any], Any]] = {
    "ssl_object": lambda tls: tls,
    "sslcontext": lambda tls: tls.context,
    "peercert": lambda tls: tls.getpeercert(),
    "cipher": lambda tls: tls.cipher(),
    "compression": lambda tls: tls.compression(),
}


class TLSConnection:
    """One connection. As a protocol it is given to a transport; the other methods are those of `interface.Transport`."""

    __slots__ = (
        "_awaits_request",
        "_backlog",
        "_dropped_bytes",
        "_eof_waits",
        "_extra",
        "_got_eof",
        "_has_ended",
        "_has_failed",
        "_has_said_goodbye",
        "_incoming",
        "_is_held",
        "_is_paused",
        "_is_shutting_down",
        "_is_writer_paused",
        "_is_writing_paused",
        "_outgoing",
        "_protocol",
        "_records",
        "_settings",
        "_ssl",
        "_state",
        "_timer",
        "_unsent_bytes",
        "_wrote_eof",
        "transport",
    )

    def __init__(self, settings: TLSSettings) -> None:
        self._settings = settings
        self._state = HANDSHAKE
        #: there once something has come: a silent connection costs next to nothing
        self._ssl: Any = None
        #: the object in C that `_ssl` passes everything on to, for what is done for each request
        self._records: Any = None
        self._incoming: Any = None
        self._outgoing: Any = None
        #: what is behind: there once the handshake is done
        self._protocol: Any = None
        self._timer: Any = None
        self._extra: dict[str, Any] | None = None
        #: plain bytes that wait until the transport takes more
        self._backlog: deque[bytes | memoryview] = deque()
        self._unsent_bytes = 0
        self._dropped_bytes = 0
        self._got_eof = False
        #: the peer has closed its side, and the protocol has not had everything that came before
        self._eof_waits = False
        #: the peer has sent its close_notify
        self._has_ended = False
        #: something has come that was not encrypted by the peer
        self._has_failed = False
        self._has_said_goodbye = False
        self._wrote_eof = False
        #: the protocol wants no more data
        self._is_paused = False
        #: reading would only make us write, to a peer that does not read
        self._is_held = False
        #: the transport holds more than its high-water mark
        self._is_writing_paused = False
        #: and the protocol knows
        self._is_writer_paused = False
        self._is_shutting_down = False
        #: the end of the server has met the handshake: the protocol is told once it has something to do
        self._awaits_request = False
        #: None once the connection is lost
        self.transport: Any = None

    # -- the protocol of the transport

    def connection_made(self, transport: Any) -> None:
        """The connection is open."""
        settings = self._settings
        self.transport = transport
        settings.connections.add(self)
        if settings.handshake_seconds:
            self._timer = settings.loop.call_later(settings.handshake_seconds, self._handshake_late)

    def data_received(self, data: bytes) -> None:
        """Bytes have come in."""
        if self._state > OPEN or self._got_eof or self._wrote_eof:
            self._drop(data)
            return
        if self._ssl is None:
            if data[0] != HANDSHAKE_RECORD and data[:1].isalpha():
                self._answer_plainly()
                return
            self._begin()
        self._incoming.write(data)
        if self._state == OPEN:
            self._read()
        else:
            self._shake_hands()

    def eof_received(self) -> bool:
        """The peer has closed its side, be it without a close_notify: whether that is too soon, the protocol can tell."""
        if self._state == OPEN and not self._got_eof:
            if self._is_paused and (self._incoming.pending or self._ssl.pending()):
                # The protocol has not had everything yet.
                self._eof_waits = True
            else:
                self._end_of_input()
        # Unless it is over, the transport must not end what is still to be sent.
        return self._state == OPEN or self._state == CLOSING

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        self._state = ENDED
        self._leave_handshake()
        self.transport = None
        self._backlog.clear()
        protocol = self._protocol
        # What `ssl` holds is large, and whoever still has this object has no use for it.
        self._protocol = self._ssl = self._records = self._incoming = self._outgoing = None
        if protocol is not None:
            protocol.connection_lost(error)

    def pause_writing(self) -> None:
        """The transport holds more than its high-water mark."""
        self._is_writing_paused = True

    def resume_writing(self) -> None:
        """The transport has drained to its low-water mark."""
        self._is_writing_paused = False
        if self._state == ENDED:
            return
        self._write_backlog()
        if self._is_writing_paused or self._backlog:
            return
        if self._is_held:
            self._is_held = False
            if not self._is_paused and self._state == OPEN:
                self.transport.resume_reading()
        if self._is_writer_paused and self._protocol is not None:
            self._is_writer_paused = False
            self._protocol.resume_writing()

    # -- the handshake

    def _begin(self) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        tls = self._ssl = self._settings.context().wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._records = getattr(tls, "_sslobj", tls)

    def _shake_hands(self) -> None:
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except (ssl.SSLError, ValueError) as error:
            # ValueError: of a server name that is none.
            self._log("TLS handshake with %s failed: %s", error)
            self._end_with_alert()
            return
        self._flush()
        self._open()

    def _open(self) -> None:
        self._leave_handshake()
        self._state = OPEN
        protocol = self._protocol = self._settings.protocol(self._ssl.selected_alpn_protocol())()
        protocol.connection_made(self)
        if self._is_writing_paused:
            self._pause_writer()
        if self._is_shutting_down and self._state == OPEN:
            # It has come for a request, most likely: that is answered.
            self._awaits_request = True
            self._timer = self._settings.loop.call_later(FIRST_REQUEST_SECONDS, self._first_request_late)
        if self._incoming.pending:
            self._read()

    def _first_request_late(self) -> None:
        self._timer = None
        self._awaits_request = False
        if self._protocol is not None:
            self._protocol.shutdown()

    def _leave_handshake(self) -> None:
        self._stop_timer()
        self._settings.connections.discard(self)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _handshake_late(self) -> None:
        self._timer = None
        if self.transport is not None and self._state == HANDSHAKE:
            self._log("TLS handshake with %s was not done in time")
            self.abort()

    def _log(self, text: str, *about: object) -> None:
        # Scanners do what is told here all day long.
        logger.debug(text, self.transport.get_extra_info("peername"), *about)

    def _answer_plainly(self) -> None:
        """Tell somebody who speaks plain HTTP where that leads."""
        self._log("Plain HTTP from %s on a port for TLS")
        self.transport.write(self._settings.plain_answer)
        self._end_in_stages()

    def _end_with_alert(self) -> None:
        """What is wrong stands in an alert that OpenSSL has put among what is to be sent."""
        self._flush()
        self._end_in_stages()

    def _end_in_stages(self) -> None:
        """Let the peer read what was sent last (RFC 9112 9.6): a close now would reset the connection and could overtake it."""
        self._state = ENDED
        self._backlog.clear()
        self._unsent_bytes = 0
        with contextlib.suppress(OSError):
            self.transport.write_eof()
        self._stop_timer()
        self._timer = self._settings.loop.call_later(LAST_WORDS_SECONDS, self.abort)

    def _drop(self, data: bytes) -> None:
        """Bytes have come in after the end."""
        self._dropped_bytes += len(data)
        if self._dropped_bytes > DROPPED_BYTES:
            self.abort()

    # -- asked by the server, until the handshake is done

    def shutdown(self) -> None:
        """End the connection when its first request is done, or now if nothing has come; the handshake must not take long."""
        self._is_shutting_down = True
        self._stop_timer()
        if self._ssl is None or self._state == ENDED:
            self.abort()
        else:
            self._timer = self._settings.loop.call_later(FIRST_REQUEST_SECONDS, self._handshake_late)

    def disconnect(self) -> None:
        """End the connection now."""
        self.abort()

    # -- reading

    def _read(self) -> None:
        """Give the protocol what has come, until there is no more or it wants no more."""
        while self._state == OPEN and not self._is_paused and not self._got_eof:
            try:
                data = self._decrypt()
            except (ssl.SSLError, OSError) as error:
                self._broken(error)
                return
            has_ended = self._has_ended
            if data:
                self._protocol.data_received(data)
                if self._awaits_request and self._state == OPEN:
                    self._stop_timer()
                    self._first_request_late()
            if has_ended or (self._eof_waits and len(data) < DELIVERY_BYTES):
                self._end_of_input()
                break
            if len(data) < DELIVERY_BYTES and not self._has_failed:
                break
        if self._state != ENDED and self._outgoing.pending:
            # Answers to what TLS itself has asked for.
            self._flush()
            if self._is_writing_paused and self._state == OPEN and not self._is_held:
                self._is_held = True
                self.transport.pause_reading()

    def _decrypt(self) -> bytes:
        """What is there, up to about DELIVERY_BYTES; notes when the peer has said that nothing follows. Raises SSLError."""
        records, incoming = self._records, self._incoming
        data, size = b"", 0
        pieces: list[bytes] | None = None
        # A record carries less than it is long. What is asked for is allocated, so it is not more than that.
        asked = incoming.pending or RECORD_BYTES
        while True:
            try:
                piece = records.read(min(asked, RECORD_BYTES))
            except ssl.SSLWantReadError:
                break
            except ssl.SSLError:
                if not size:
                    raise
                # First what came before it; the next read says it again.
                self._has_failed = True
                break
            if not piece:
                self._has_ended = True
                break
            if not size:
                data = piece
            elif pieces is None:
                pieces = [data, piece]
            else:
                pieces.append(piece)
            size += len(piece)
            if size >= DELIVERY_BYTES:
                break
            # Rather asked for than found out by an exception. OpenSSL takes one record after the other, and a short read has
            # left nothing of its record.
            asked = (records.pending() if len(piece) >= min(asked, RECORD_BYTES) else 0) or incoming.pending
            if not asked:
                break
        return data if pieces is None else b"".join(pieces)

    def _end_of_input(self) -> None:
        """Tell the protocol that nothing follows."""
        if self._state == OPEN and not self._got_eof:
            self._got_eof = True
            if not self._protocol.eof_received():
                self.close()

    def _broken(self, error: Exception) -> None:
        """Something has come that the peer has not encrypted, or nothing can be encrypted any more."""
        self._log("TLS with %s is broken: %s", error)
        self._end_with_alert()

    def pause_reading(self) -> None:
        """See Transport."""
        if self._state == OPEN and not self._is_paused:
            self._is_paused = True
            if not self._is_held:
                self.transport.pause_reading()

    def resume_reading(self) -> None:
        """See Transport."""
        if self._state != OPEN or not self._is_paused:
            return
        self._is_paused = False
        if self._incoming.pending or self._ssl.pending() or self._eof_waits or self._has_failed:
            # Never from here: the protocol may be in the middle of something.
            self._settings.loop.call_soon(self._read_on)
        if not self._is_held:
            self.transport.resume_reading()

    def _read_on(self) -> None:
        if self._wrote_eof:
            return
        try:
            self._read()
        except Exception as error:
            # As transports do it with what their callbacks raise.
            context = {"message": "Fatal error: protocol.data_received() call failed.", "exception": error, "transport": self}
            self._settings.loop.call_exception_handler(context)
            self.abort()

    def is_reading(self) -> bool:
        """See Transport."""
        return self._state == OPEN and not self._is_paused

    # -- writing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See Transport."""
        if self._wrote_eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._state == OPEN and data:
            self._put(data)
            self._after_write()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """See Transport."""
        if self._wrote_eof:
            raise RuntimeError("Cannot call writelines() after write_eof()")
        if self._state != OPEN:
            return
        pieces = list(list_of_data)
        size = sum(map(len, pieces))
        if size <= RECORD_BYTES:
            # Records cost more than copies.
            if size:
                self._put(b"".join(pieces))
        else:
            for piece in pieces:
                if piece and size > WRITE_BYTES:
                    # By and by, as it goes out.
                    self._hold(piece)
                elif piece:
                    self._put(piece)
        self._after_write()

    def _put(self, data: bytes | bytearray | memoryview) -> None:
        if self._backlog or self._is_writing_paused or len(data) > WRITE_BYTES:
            self._hold(data)
        else:
            self._encrypt(data)

    def _hold(self, data: bytes | bytearray | memoryview) -> None:
        """Let `data` wait in the backlog: as it is if nobody can change it, else a copy."""
        if type(data) is bytes:
            self._backlog.append(data)
        elif type(data) is memoryview and type(data.obj) is bytes and data.contiguous:
            # Another view: the caller may release his.
            self._backlog.append(data[:])
        else:
            self._backlog.append(bytes(data))
        self._unsent_bytes += len(data)

    def _after_write(self) -> None:
        if self._backlog and not self._is_writing_paused:
            self._write_backlog()
        else:
            self._flush()
        if self._is_writing_paused or self._backlog:
            self._pause_writer()

    def _encrypt(self, data: Any) -> None:
        try:
            sent = self._records.write(data)
            while sent < len(data):
                sent += self._records.write(memoryview(data)[sent:])
        except ssl.SSLError as error:
            self._broken(error)

    def _write_backlog(self) -> None:
        """Encrypt and send what waits, as far as the transport takes it; then what close() and write_eof() have asked for."""
        while self._backlog and not self._is_writing_paused and self._state < ENDED:
            data = self._backlog[0]
            if len(data) <= WRITE_BYTES:
                self._backlog.popleft()
            else:
                self._backlog[0], data = memoryview(data)[WRITE_BYTES:], memoryview(data)[:WRITE_BYTES]
            self._unsent_bytes -= len(data)
            self._encrypt(data)
            if not self._backlog or self._outgoing.pending >= WRITE_BYTES:
                self._flush()
        if not self._backlog and (self._wrote_eof or self._state == CLOSING):
            self._say_goodbye()

    def _flush(self) -> None:
        if self.transport is not None:
            data = self._outgoing.read()
            if data:
                self.transport.write(data)

    def _pause_writer(self) -> None:
        if not self._is_writer_paused and self._state == OPEN:
            self._is_writer_paused = True
            self._protocol.pause_writing()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """See Transport. The marks are those of what is encrypted."""
        self.transport.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """See Transport."""
        if self.transport is None:
            return 0
        return self._unsent_bytes + int(self.transport.get_write_buffer_size())

    # -- the end

    def can_write_eof(self) -> bool:
        """True: each direction has its own close_notify (RFC 8446 6.1)."""
        return True

    def write_eof(self) -> None:
        """See Transport. What comes in after it is dropped by peers of TLS 1.2 (RFC 5246 7.2.1), so it is for the very end."""
        if self._wrote_eof or self._state != OPEN:
            return
        self._wrote_eof = True
        if not self._backlog:
            self._say_goodbye()

    def close(self) -> None:
        """See Transport. The peer's close_notify is not waited for, as neither version of TLS asks for it."""
        if self._state == HANDSHAKE:
            self.abort()
        elif self._state == OPEN:
            self._state = CLOSING
            if not self._backlog:
                self._say_goodbye()
            if self.transport is not None and self.get_write_buffer_size():
                self._watch_end()

    def _say_goodbye(self) -> None:
        """Everything is sent: close_notify, and the end of our direction, or of both."""
        transport = self.transport
        if not self._has_said_goodbye:
            self._has_said_goodbye = True
            # The peer's has not come yet, or something else has: `unwrap` wants to know, and nobody else.
            with contextlib.suppress(ssl.SSLError):
                self._ssl.unwrap()
            self._flush()
        if self._state == CLOSING:
            self._state = ENDED
            transport.close()
        else:
            with contextlib.suppress(OSError):
                transport.write_eof()

    def abort(self) -> None:
        """See Transport."""
        self._state = ENDED
        self._backlog.clear()
        self._unsent_bytes = 0
        if self.transport is not None:
            self.transport.abort()

    def is_closing(self) -> bool:
        """See Transport."""
        return self._state > OPEN or self.transport is None or self.transport.is_closing()

    def _watch_end(self) -> None:
        """See that a client which takes nothing of what is queued does not keep the connection."""
        settings = self._settings
        self._stop_timer()
        if settings.shutdown_seconds:
            self._timer = settings.loop.call_later(settings.shutdown_seconds, self._end_late, self.get_write_buffer_size())

    def _end_late(self, unsent_bytes: int) -> None:
        self._timer = None
        if self.transport is None:
            return
        if self.get_write_buffer_size() == unsent_bytes:
            self.abort()
        else:
            self._watch_end()

    # -- what it is

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What the transport knows, and `ssl_object`, `sslcontext`, `peercert`, `cipher` and `compression` as with asyncio."""
        if self._extra is not None and name in self._extra:
            return self._extra[name]
        tls = self._ssl
        if tls is not None and self._state != HANDSHAKE and name in EXTRA_INFO:
            return EXTRA_INFO[name](tls)
        return default if self.transport is None else self.transport.get_extra_info(name, default)

    def set_extra_info(self, extra: dict[str, Any]) -> None:
        """See `extra_info`."""
        self._extra = extra

    def set_protocol(self, protocol: Any) -> None:
        """Give what is received from now on to `protocol`."""
        self._protocol = protocol

    def get_protocol(self) -> Any:
        """The protocol behind, None before the handshake is done and once the connection is lost."""
        return self._protocol
