"""One HTTP request as the application sees it: `receive`, `send` and what becomes of the application's end.

Knows ASGI and the `Wire` interface; knows no socket, no HTTP version and no server. The text is compiled a second time
as `http_cycle_c`, so these rules exist once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Iterable
from typing import Any

from ..base.errors import ClientDisconnected, LocalProtocolError
from .awaitables_py import DONE
from .cycle_py import Cycle
from .disconnects import says_abandoned, says_disconnected
from .files import send_opened_file, send_path
from .wire_py import Wire

__all__ = ["HTTPCycle", "new_cycle"]

logger = logging.getLogger("picocorn.error")

# What `send` expects next. `http.response.start` leads to BODY, the last body event to TRAILERS or COMPLETE.
START = 0
BODY = 1
TRAILERS = 2
COMPLETE = 3

EXPECTED = ("http.response.start", "http.response.body", "http.response.trailers")
KNOWN = frozenset(
    (
        "http.response.start",
        "http.response.body",
        "http.response.trailers",
        "http.response.early_hint",
        "http.response.pathsend",
        "http.response.push",
        "http.response.zerocopysend",
    )
)


class HTTPCycle(Cycle):
    """The ASGI state of one request (asgi E1-E10).

    The connection calls `feed_data`, `feed_end`, `feed_eof` and `disconnect`; the application calls `receive` and
    `send`. Application code may run inside any call into it, so every method leaves a settled state behind first.
    """

    __slots__ = (
        "_chunks",
        "_file_sent",
        "_request_sent",
        "_told_disconnect",
        "_trailers",
        "body_bytes",
        "body_complete",
        "disconnected",
        "eof",
        "is_head",
        "started",
        "state",
        "trailers_expected",
        "wire",
    )

    def __init__(self, wire: Wire, scope: dict[str, Any], is_head: bool) -> None:
        self._open(wire, scope, is_head)

    def _open(self, wire: Wire, scope: dict[str, Any], is_head: bool) -> None:
        self.wire = wire
        self.scope = scope
        self.is_head = is_head
        #: the application's task exists
        self.started = False
        #: content held for the application
        self.body_bytes = 0
        self.body_complete = False
        #: the client has gone: `send` raises
        self.disconnected = False
        #: the client will send nothing more, but may still read (RFC 9112 9.6)
        self.eof = False
        self.state = START
        self.trailers_expected = False
        self._chunks: list[bytes] | None = None
        self._request_sent = False
        self._file_sent = False
        self._told_disconnect = False
        self._trailers: list[Iterable[bytes]] | None = None
        self._first_waiter = None
        self._last_place = 0

    # -- called by the connection

    def feed_data(self, data: bytes) -> None:
        """Hold `data` for the application. Does not wake it: the connection calls `wake` once its input is used up."""
        chunks = self._chunks
        if chunks is None:
            self._chunks = [data]
        else:
            chunks.append(data)
        self.body_bytes += len(data)

    def feed_end(self) -> None:
        """The request is complete."""
        # Of one that was given up before, content may be missing.
        if not self.disconnected:
            self.body_complete = True

    def feed_eof(self) -> None:
        """The client has closed its side. The response may still reach it, so only `receive` learns of it."""
        self.eof = True
        self.wake()

    def disconnect(self) -> None:
        """The client has gone, or is to be treated as gone. Repeats are harmless."""
        if not self.disconnected:
            self.disconnected = True
            self.discard_content()
            self.wake()

    def discard_content(self) -> bool:
        """Let go of content that nobody can be given any more: a task may go on for long. Returns whether there can be none."""
        if self.state == COMPLETE or (self.disconnected and not self.body_complete):
            self._chunks = None
            self.body_bytes = 0
            return True
        return False

    # -- called by the application's task

    def application_returned(self, result: Any) -> None:
        """See Cycle. Settles what the application left open."""
        if result is not None:
            logger.error("ASGI callable should return None, but returned '%s'.", result)
            self._end_unfinished()
        elif self._told_disconnect:
            # Whoever was told that the client has gone owes it no response.
            self._end_unfinished()
        elif self.state != COMPLETE and not self.disconnected:
            missing = "starting" if self.state == START else "completing"
            logger.error("ASGI callable returned without %s response.", missing)
            self._end_unfinished()
        self.wire.application_ended()

    def application_raised(self, error: BaseException) -> bool:
        """See Cycle. Only a cancellation goes on: SystemExit and KeyboardInterrupt must not be able to end the server."""
        if isinstance(error, asyncio.CancelledError):
            self._end_unfinished()
            self.wire.application_ended()
            return True
        if says_abandoned(error):
            return True
        if not (self.disconnected and says_disconnected(error)):
            # ASGI C8: the error that send() raised is no error of the application's.
            logger.error("Exception in ASGI application\n", exc_info=error)
            self._end_unfinished()
        self.wire.application_ended()
        return False

    # -- called by the application

    def receive(self) -> Awaitable[dict[str, Any]]:
        """ASGI `receive`: `http.request` until the content has been handed over, then `http.disconnect`.

        The message is taken when the awaitable gives it, not before: one that is cancelled loses none.
        """
        if self._chunks is None and not self.has_message():
            self.wire.request_body()
        return self.wait()

    def send(self, message: dict[str, Any]) -> Awaitable[None]:
        """ASGI `send`. Raises LocalProtocolError for a wrong message, ClientDisconnected when the client has gone."""
        if type(message) is dict:
            event = message
        elif isinstance(message, dict):
            event = dict(message)
        else:
            raise LocalProtocolError(f"An ASGI message is a dict, not {type(message).__name__}.")
        kind = event.get("type")
        state = self.state
        if state == BODY:
            if kind == "http.response.body":
                return self._send_body(event)
            if kind == "http.response.pathsend" or kind == "http.response.zerocopysend":
                return self._send_file(kind, event)
            if kind == "http.response.early_hint":
                return self._send_early_hint(event)
            if kind == "http.response.push":
                return self._send_push(event)
        elif state == START:
            if kind == "http.response.start":
                return self._send_start(event)
            if kind == "http.response.early_hint":
                return self._send_early_hint(event)
            if kind == "http.response.push":
                # Starlette promises what its template needs before it answers.
                return self._send_push(event)
        elif state == TRAILERS:
            if kind == "http.response.trailers":
                return self._send_trailers(event)
        elif isinstance(kind, str) and kind in KNOWN:
            # ASGI E7: messages after the response is complete are ignored.
            return DONE
        if state == COMPLETE:
            raise LocalProtocolError(f"Unexpected ASGI message '{kind}' sent, after response already completed.")
        raise LocalProtocolError(f"Expected ASGI message '{EXPECTED[state]}', but got '{kind}'.")

    # -- receive

    def has_message(self) -> bool:
        """See MessageSource."""
        return (
            self._chunks is not None
            or (self.body_complete and not self._request_sent)
            or self.disconnected
            or self.eof
            or self.state == COMPLETE
        )

    def take_message(self) -> dict[str, Any]:
        """See MessageSource."""
        if self.state == COMPLETE:
            return {"type": "http.disconnect"}
        if self.disconnected and not self.body_complete:
            return {"type": "http.disconnect"}
        chunks = self._chunks
        if chunks is not None or (self.body_complete and not self._request_sent):
            body = b"" if chunks is None else chunks[0] if len(chunks) == 1 else b"".join(chunks)
            size = self.body_bytes
            self._chunks = None
            self.body_bytes = 0
            # Settled before consume(), which may read on and feed more right here.
            more_body = not self.body_complete
            self._request_sent = not more_body
            if size:
                self.wire.consume(size)
            return {"type": "http.request", "body": body, "more_body": more_body}
        # The client has gone, or will send nothing more.
        self._told_disconnect = True
        return {"type": "http.disconnect"}

    # -- send

    def _send_start(self, message: dict[str, Any]) -> Awaitable[None]:
        if self.disconnected:
            raise ClientDisconnected("The client has disconnected.")
        status = message.get("status")
        # The writer knows which are allowed; here only what no status can be is kept from it.
        if not isinstance(status, int) or not 0 <= status <= 999:
            raise LocalProtocolError(f"'http.response.start' needs an integer 'status', not {status!r}.")
        trailers = bool(message.get("trailers", False))
        self.wire.write_head(status, message.get("headers") or (), trailers)
        self.trailers_expected = trailers
        self.state = BODY
        return DONE

    def _send_body(self, message: dict[str, Any]) -> Awaitable[None]:
        if self.disconnected:
            raise ClientDisconnected("The client has disconnected.")
        if self._file_sent:
            raise LocalProtocolError("'http.response.body' cannot follow 'http.response.pathsend'.")
        body = message.get("body", b"")
        if type(body) is not bytes:
            if not isinstance(body, (bytes, bytearray, memoryview)):
                raise LocalProtocolError(f"'http.response.body' needs bytes in 'body', not {type(body).__name__}.")
            body = bytes(body)
        return self.write_body(body, bool(message.get("more_body", False)))

    def write_body(self, body: bytes, more_body: bool) -> Awaitable[None]:
        """Send content (ASGI E6, E7). Raises ClientDisconnected when the client has gone."""
        if self.state != BODY:
            # A file is sent over many turns of the loop, and the response may have been ended by another task in between:
            # the wire may carry the next one already.
            return DONE
        if self.disconnected:
            raise ClientDisconnected("The client has disconnected.")
        if self.wire.is_blocked():
            # Before it is queued, not only after: an application that cancels its sends would get past the mark.
            return self._write_body_later(body, more_body)
        if more_body:
            if self.wire.write_data(body, False):
                return self.wire.drain()
            return DONE
        if self.trailers_expected:
            self.wire.write_data(body, False)
            self.state = TRAILERS
            return DONE
        # COMPLETE before the wire hears of it: the next request may start inside this call.
        self.state = COMPLETE
        try:
            must_drain = self.wire.write_data(body, True)
        except LocalProtocolError:
            self.state = BODY
            raise
        self.wake()
        return self._drain_last() if must_drain else DONE

    def _send_trailers(self, message: dict[str, Any]) -> Awaitable[None]:
        if self.disconnected:
            raise ClientDisconnected("The client has disconnected.")
        trailers = self._trailers
        if trailers is None:
            trailers = self._trailers = []
        trailers.extend(message.get("headers") or ())
        if message.get("more_trailers", False):
            return DONE
        self.state = COMPLETE
        self._trailers = None
        try:
            must_drain = self.wire.write_trailers(trailers)
        except BaseException:
            # Fields are made by the application, some only while they are looked at, so this can be any error.
            self.state = TRAILERS
            raise
        self.wake()
        return self._drain_last() if must_drain else DONE

    async def _write_body_later(self, body: bytes, more_body: bool) -> None:
        await self.wire.drain()
        await self.write_body(body, more_body)

    async def _drain_last(self) -> None:
        # The response is complete: what becomes of it is no error of the application's, which may have work left to do.
        with contextlib.suppress(ClientDisconnected):
            await self.wire.drain()

    def _send_early_hint(self, message: dict[str, Any]) -> Awaitable[None]:
        if self.disconnected:
            raise ClientDisconnected("The client has disconnected.")
        try:
            links = [(b"link", bytes(link)) for link in message["links"]]
        except (KeyError, TypeError) as error:
            raise LocalProtocolError("'http.response.early_hint' needs an iterable of bytes in 'links'.") from error
        self.wire.write_informational(103, links)
        return DONE

    def _send_push(self, message: dict[str, Any]) -> Awaitable[None]:
        if self.disconnected:
            raise ClientDisconnected("The client has disconnected.")
        path = message.get("path")
        if not isinstance(path, str) or not path.startswith("/"):
            raise LocalProtocolError(f"'http.response.push' needs a str that begins with / in 'path', not {path!r}.")
        self.wire.push(path, message.get("headers") or ())
        return DONE

    def _send_file(self, kind: str, message: dict[str, Any]) -> Awaitable[None]:
        if self.disconnected:
            raise ClientDisconnected("The client has disconnected.")
        if self._file_sent:
            raise LocalProtocolError(f"'{kind}' cannot follow 'http.response.pathsend'.")
        if kind == "http.response.pathsend":
            self._file_sent = True
            return self._send_path(message)
        return send_opened_file(self, message)

    async def _send_path(self, message: dict[str, Any]) -> None:
        try:
            await send_path(self, message)
        except BaseException:
            # What follows is again the application's choice.
            self._file_sent = False
            raise

    # -- the application's end

    def _end_unfinished(self) -> None:
        if self.state == COMPLETE or self.disconnected:
            return
        self.state = COMPLETE
        self.wire.fail()
        self.wake()


def new_cycle(wire: Wire, scope: dict[str, Any], is_head: bool) -> HTTPCycle:
    """`HTTPCycle(...)`, at half the price when compiled: without the call of a type, and its tuple of arguments."""
    cycle = HTTPCycle.__new__(HTTPCycle)
    cycle._open(wire, scope, is_head)
    return cycle
