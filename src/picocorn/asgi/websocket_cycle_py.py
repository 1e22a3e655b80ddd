"""One WebSocket as the application sees it: `receive`, `send` and what becomes of the application's end.

Knows ASGI and the `WebSocketWire` interface; knows no frames, no HTTP version and no server. The text is compiled a second
time as `websocket_cycle_c`, so these rules exist once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

from ..base.errors import ClientDisconnected, LocalProtocolError
from ..websocket.opcodes import ABNORMAL_CLOSURE, INTERNAL_ERROR, NORMAL_CLOSURE, SERVICE_RESTART, may_be_sent
from .awaitables_py import DONE
from .cycle_py import Cycle
from .disconnects import says_abandoned, says_disconnected
from .websocket_wire_py import WebSocketWire

__all__ = ["WebSocketCycle", "new_websocket_cycle"]

logger = logging.getLogger("picocorn.error")

# What `send` expects next. `websocket.accept` leads to OPEN, `websocket.http.response.start` to DENIAL and its last body
# event to DENIED; every other end, by whomever, to CLOSED.
CONNECTING = 0
OPEN = 1
DENIAL = 2
DENIED = 3
CLOSED = 4

# By state, in uvicorn's words.
UNEXPECTED = (
    "Expected ASGI message 'websocket.accept', 'websocket.close' or 'websocket.http.response.start' but got '%s'.",
    "Expected ASGI message 'websocket.send' or 'websocket.close', but got '%s'.",
    "Expected ASGI message 'websocket.http.response.body' but got '%s'.",
    "Unexpected ASGI message '%s' sent, after response already completed.",
    "Unexpected ASGI message '%s', after the WebSocket has been closed.",
)
KNOWN = frozenset(
    (
        "websocket.accept",
        "websocket.send",
        "websocket.close",
        "websocket.http.response.start",
        "websocket.http.response.body",
    )
)


class WebSocketCycle(Cycle):
    """The ASGI state of one WebSocket (asgi W1-W12, X1).

    The session calls `feed_message`, `feed_close`, `disconnect` and `wake`; the application calls `receive` and `send`.
    Application code may run inside any call into it, so every method leaves a settled state behind first; the caller
    has to do the same.
    """

    __slots__ = (
        "_close_code",
        "_close_reason",
        "_connect_told",
        "_incoming",
        "_oldest",
        "_outgoing",
        "accepted",
        "closed",
        "queued_bytes",
        "queued_messages",
        "started",
        "state",
        "wire",
    )

    def __init__(self, wire: WebSocketWire, scope: dict[str, Any]) -> None:
        self._open(wire, scope)

    def _open(self, wire: WebSocketWire, scope: dict[str, Any]) -> None:
        self.wire = wire
        self.scope = scope
        #: the application's task exists (bool, set by the session)
        self.started = False
        #: the application has accepted (bool)
        self.accepted = False
        #: nothing can be sent any more, whoever has ended it (bool)
        self.closed = False
        self.state = CONNECTING
        #: messages held for the application
        self.queued_messages = 0
        #: their size: bytes, and characters of text
        self.queued_bytes = 0
        self._connect_told = False
        # The oldest message, which is mostly the only one; behind it a queue in two lists, there only while they hold
        # something: in `_incoming` the newest is last, in `_outgoing` the next.
        self._oldest: str | bytes | None = None
        self._incoming: Any = None
        self._outgoing: Any = None
        self._close_code = 0
        self._close_reason: str | None = None
        self._first_waiter = None
        self._last_place = 0

    # -- called by the session

    def feed_message(self, data: str | bytes) -> None:
        """Queue one message for the application. Does not wake it: the session calls `wake` once its input is used up."""
        if self.closed:
            return
        incoming = self._incoming
        if not self.queued_messages:
            self._oldest = data
        elif incoming is None:
            self._incoming = [data]
        else:
            incoming.append(data)
        self.queued_messages += 1
        self.queued_bytes += len(data)

    def feed_close(self, code: int, reason: str) -> None:
        """The peer or the server has closed: what `websocket.disconnect` says, after what is queued. Wakes. First call wins."""
        if not self.closed:
            self._end(CLOSED, code, reason)
            self.wake()

    def disconnect(self, code: int) -> None:
        """The connection is lost: as `feed_close(code, "")`. Repeats are harmless."""
        self.feed_close(code, "")

    # -- called by the application's task

    def application_returned(self, result: Any) -> None:
        """See Cycle. Closes what the application has left open (asgi W11)."""
        if result is not None:
            logger.error("ASGI callable should return None, but returned '%s'.", result)
        elif self.state == CONNECTING:
            logger.error("ASGI callable returned without completing handshake.")
        elif self.state == DENIAL:
            logger.error("ASGI callable returned without completing response.")
        self._end_unfinished(NORMAL_CLOSURE if result is None else INTERNAL_ERROR)
        self.wire.application_ended()

    def application_raised(self, error: BaseException) -> bool:
        """See Cycle. Only a cancellation goes on: SystemExit and KeyboardInterrupt must not be able to end the server."""
        if isinstance(error, asyncio.CancelledError):
            # Tasks are cancelled at the end of the server only.
            self._end_unfinished(SERVICE_RESTART)
            self.wire.application_ended()
            return True
        if says_abandoned(error):
            return True
        if not (self.closed and says_disconnected(error)):
            # ASGI C8: the error that send() raised is no error of the application's.
            logger.error("Exception in ASGI application\n", exc_info=error)
            self._end_unfinished(INTERNAL_ERROR)
        self.wire.application_ended()
        return False

    # -- called by the application

    def receive(self) -> Awaitable[dict[str, Any]]:
        """ASGI `receive`: `websocket.connect`, each `websocket.receive`, then `websocket.disconnect` for ever (W2, W5, W8).

        The message is taken when the awaitable gives it, not before: one that is cancelled loses none.
        """
        return self.wait()

    def send(self, message: dict[str, Any]) -> Awaitable[None]:
        """ASGI `send`. Raises LocalProtocolError for a wrong message, ClientDisconnected when the WebSocket is closed."""
        if type(message) is dict:
            event = message
        elif isinstance(message, dict):
            event = dict(message)
        else:
            raise LocalProtocolError(f"An ASGI message is a dict, not {type(message).__name__}.")
        kind = event.get("type")
        state = self.state
        if state == OPEN:
            if kind == "websocket.send":
                return self._send_message(event)
            if kind == "websocket.close":
                return self._send_close(event)
        elif state == CONNECTING:
            if kind == "websocket.accept":
                return self._send_accept(event)
            if kind == "websocket.close":
                return self._send_close(event)
            if kind == "websocket.http.response.start":
                return self._send_response_start(event)
        elif state == DENIAL:
            if kind == "websocket.http.response.body":
                return self._send_response_body(event)
        elif state == CLOSED and isinstance(kind, str) and kind in KNOWN:
            raise ClientDisconnected("The WebSocket is closed.")
        raise LocalProtocolError(UNEXPECTED[state] % (kind,))

    # -- receive

    def has_message(self) -> bool:
        """See MessageSource."""
        return self.queued_messages > 0 or self.closed or not self._connect_told

    def take_message(self) -> dict[str, Any]:
        """See MessageSource."""
        if not self._connect_told:
            self._connect_told = True
            return {"type": "websocket.connect"}
        if not self.queued_messages:
            return {"type": "websocket.disconnect", "code": self._close_code, "reason": self._close_reason}
        data = self._next_data()
        if not self.closed:
            # Afterwards nothing is read that would be for the application.
            self.wire.consume()
        if type(data) is str:
            return {"type": "websocket.receive", "text": data}
        return {"type": "websocket.receive", "bytes": data}

    def _next_data(self) -> Any:
        data: Any = self._oldest
        self.queued_messages -= 1
        self.queued_bytes -= len(data)
        if not self.queued_messages:
            self._oldest = None
            return data
        outgoing = self._outgoing
        if outgoing is None:
            outgoing = self._outgoing = self._incoming
            self._incoming = None
            outgoing.reverse()
        self._oldest = outgoing.pop()
        if not outgoing:
            self._outgoing = None
        return data

    # -- send

    def _send_accept(self, event: dict[str, Any]) -> Awaitable[None]:
        subprotocol = event.get("subprotocol")
        if subprotocol is not None and not isinstance(subprotocol, str):
            raise LocalProtocolError(f"'websocket.accept' needs a str or None in 'subprotocol', not {subprotocol!r}.")
        # OPEN before the session hears of it: frames may follow the handshake, a close among them.
        self.state = OPEN
        self.accepted = True
        try:
            self.wire.accept(subprotocol, event.get("headers") or ())
        except BaseException:
            # Fields are made by the application, some only while they are looked at, so this can be any error.
            self.accepted = False
            if self.state == OPEN:
                self.state = CONNECTING
            raise
        return DONE

    def _send_message(self, event: dict[str, Any]) -> Awaitable[None]:
        data = event.get("bytes")
        text = event.get("text")
        if (data is None) == (text is None):
            raise LocalProtocolError("'websocket.send' needs either 'bytes' or 'text', and not both.")
        if data is None:
            if type(text) is not str:
                if not isinstance(text, str):
                    raise LocalProtocolError(f"'websocket.send' needs a str in 'text', not {type(text).__name__}.")
                text = _characters(text)
            data = text
        elif type(data) is not bytes:
            if not isinstance(data, (bytes, bytearray, memoryview)):
                raise LocalProtocolError(f"'websocket.send' needs bytes in 'bytes', not {type(data).__name__}.")
            data = bytes(data)
        if self.wire.is_blocked():
            # Before it is queued, not only after: an application that cancels its sends would get past the mark.
            return self._send_message_later(data)
        if self.wire.send_message(data):
            return self.wire.drain()
        return DONE

    async def _send_message_later(self, data: str | bytes) -> None:
        while self.state == OPEN and self.wire.is_blocked():
            await self.wire.drain()
        if self.state != OPEN:
            raise ClientDisconnected("The WebSocket is closed.")
        if self.wire.send_message(data):
            await self.wire.drain()

    def _send_close(self, event: dict[str, Any]) -> Awaitable[None]:
        if self.state == CONNECTING:
            # asgi W4. No frame is sent, so any code and reason will do: FastAPI's is the list of what did not validate.
            self._end(CLOSED, ABNORMAL_CLOSURE, "")
            self.wire.reject(403)
        else:
            code = event.get("code", NORMAL_CLOSURE)
            if code is None:
                code = NORMAL_CLOSURE
            reason = event.get("reason") or ""
            if not isinstance(code, int):
                raise LocalProtocolError(f"'websocket.close' needs an integer 'code', not {code!r}.")
            if not isinstance(reason, str):
                raise LocalProtocolError(f"'websocket.close' needs a str or None in 'reason', not {reason!r}.")
            if not may_be_sent(code):
                raise LocalProtocolError(f"'websocket.close' needs a 'code' that may be sent (RFC 6455 7.4), not {code}.")
            code, reason = int(code), _characters(reason)
            _check_encodable(reason)
            self._end(CLOSED, code, reason)
            self.wire.close(code, reason)
        self.wake()
        return DONE

    def _send_response_start(self, event: dict[str, Any]) -> Awaitable[None]:
        status = event.get("status")
        # The writer knows which are allowed; here only what no status can be is kept from it.
        if not isinstance(status, int) or not 0 <= status <= 999:
            raise LocalProtocolError(f"'websocket.http.response.start' needs an integer 'status', not {status!r}.")
        self.wire.write_response_head(status, event.get("headers") or ())
        self.state = DENIAL
        return DONE

    def _send_response_body(self, event: dict[str, Any]) -> Awaitable[None]:
        body = event.get("body", b"")
        if type(body) is not bytes:
            if not isinstance(body, (bytes, bytearray, memoryview)):
                raise LocalProtocolError(f"'websocket.http.response.body' needs bytes in 'body', not {type(body).__name__}.")
            body = bytes(body)
        more_body = bool(event.get("more_body", False))
        if self.wire.is_blocked():
            return self._write_body_later(body, more_body)
        return self._write_body(body, more_body)

    def _write_body(self, body: bytes, more_body: bool) -> Awaitable[None]:
        if more_body:
            if self.wire.write_response_body(body, False):
                return self.wire.drain()
            return DONE
        # Settled before the wire hears of it, which may end the connection at once.
        self._end(DENIED, ABNORMAL_CLOSURE, "")
        try:
            self.wire.write_response_body(body, True)
        except LocalProtocolError:
            self.state = DENIAL
            self.closed = False
            raise
        self.wake()
        return DONE

    async def _write_body_later(self, body: bytes, more_body: bool) -> None:
        while self.state == DENIAL and self.wire.is_blocked():
            await self.wire.drain()
        if self.state != DENIAL:
            raise ClientDisconnected("The WebSocket is closed.")
        await self._write_body(body, more_body)

    # -- the end

    def _end(self, state: int, code: int, reason: str) -> None:
        self.state = state
        self.closed = True
        self._close_code = code
        self._close_reason = reason

    def _end_unfinished(self, code: int) -> None:
        """The application is done with it: close with `code`, or answer for the application that has not."""
        if self.closed:
            return
        state = self.state
        self._end(CLOSED, code if state == OPEN else ABNORMAL_CLOSURE, "")
        if state == OPEN:
            self.wire.close(code, "")
        elif state == CONNECTING:
            self.wire.reject(500)
        else:
            self.wire.fail()
        self.wake()


def new_websocket_cycle(wire: WebSocketWire, scope: dict[str, Any]) -> WebSocketCycle:
    """`WebSocketCycle(...)`, at half the price when compiled: without the call of a type, and its tuple of arguments."""
    cycle = WebSocketCycle.__new__(WebSocketCycle)
    cycle._open(wire, scope)
    return cycle


def _characters(text: str) -> str:
    """The characters themselves, whatever a subclass makes of str()."""
    return str.__str__(text)


def _check_encodable(reason: str) -> None:
    try:
        reason.encode()
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"'websocket.close' needs text in 'reason': {error}.") from None
