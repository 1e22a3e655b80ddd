"""What every connection on a byte stream has, whatever is spoken on it: back-pressure, one deadline, an end in stages.

Knows the transport by asyncio's methods and the timers; knows no HTTP and no request. The text is compiled a second time as
`stream_c`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from ..asgi.awaitables_py import DONE
from ..base.errors import ClientDisconnected
from ..base.limits import HIGH_WATER_BYTES, LOW_WATER_BYTES
from .addresses import internet_address, local_address
from .carrier_py import Carrier
from .context_py import ConnectionContext
from .deadlines import LINGER, NO_DEADLINE, STALL
from .lingering import (
    LINGER_BYTES,
    LINGER_SECONDS,
    STALL_LOOK_SECONDS,
    STALLED_SECONDS,
    end_sending,
    kernel_bytes,
    make_close_a_reset,
)
from .timers_py import Deadline
from .trace import trace

__all__ = ["StreamConnection"]


class StreamConnection(Carrier):
    """Base of the protocols of this folder. What is spoken on the stream is up to them, as is what a deadline means."""

    __slots__ = (
        "_closing",
        "_context",
        "_deadline",
        "_deadline_kind",
        "_drain_waiters",
        "_drains_stopped",
        "_eof",
        "_linger_left_bytes",
        "_reading_paused",
        "_stalled_seconds",
        "_unsent_bytes",
        "_writing_paused",
        "client",
        "server",
        "transport",
    )

    def __init__(self, context: ConnectionContext) -> None:
        self._context = context
        self._closing = False
        self._deadline = Deadline(self)
        self._deadline_kind = NO_DEADLINE
        self._drain_waiters: list[asyncio.Future[None]] | None = None
        #: nothing more may be sent, so nobody need wait until it can
        self._drains_stopped = False
        #: the client has closed its side
        self._eof = False
        self._linger_left_bytes = 0
        self._reading_paused = False
        self._stalled_seconds = 0.0
        self._unsent_bytes = 0
        self._writing_paused = False
        self.client: tuple[str, int] | None = None
        self.server: tuple[str, int | None] | None = None
        #: None once the connection is lost
        self.transport: Any = None

    # -- the beginning

    def _open(self, transport: Any, name: str) -> None:
        """The connection is there; `name` is what the log calls it."""
        context = self._context
        self.transport = transport
        # uvloop's own transports would resume at 16 bytes: a wait of the application's for nearly every write.
        transport.set_write_buffer_limits(HIGH_WATER_BYTES, LOW_WATER_BYTES)
        self.client = internet_address(transport.get_extra_info("peername"))
        self.server = local_address(transport.get_extra_info("sockname"))
        context.server_state.connections.add(self)
        if context.is_tracing:
            trace(self.client, f"{name} connection made")

    # -- output and its back-pressure

    def pause_writing(self) -> None:
        """The transport holds more than its high-water mark."""
        self._block_output()

    def _block_output(self) -> None:
        self._writing_paused = True
        # The first look has nothing that it could compare with: what was seen before was other output.
        self._stalled_seconds = -STALL_LOOK_SECONDS

    def _watch_output(self) -> None:
        """The output is blocked: see to it that the client takes some of it now and then. `_look_at_output` is the look."""
        self._block_output()
        if not self._closing:
            self.arm(STALL, STALL_LOOK_SECONDS)

    def _unblock_output(self) -> None:
        """What `_watch_output` has begun is over."""
        self._writing_paused = False
        if self._deadline_kind == STALL:
            self.disarm()
        self._wake_drainers()

    def is_blocked(self) -> bool:
        """See Wire."""
        return self._writing_paused

    def drain(self) -> Awaitable[Any]:
        """See Wire."""
        if not self._writing_paused:
            return DONE
        return self._drain()

    async def _drain(self) -> None:
        while self._writing_paused and self.transport is not None and not self._drains_stopped:
            waiter: asyncio.Future[None] = self._context.loop.create_future()
            waiters = self._drain_waiters
            if waiters is None:
                waiters = self._drain_waiters = []
            waiters.append(waiter)
            try:
                await waiter
            finally:
                # A cancelled send leaves nothing behind.
                waiters.remove(waiter)
        if self.transport is None or self._drains_stopped:
            raise ClientDisconnected("The client has disconnected.")

    def stop_drains(self) -> None:
        """See Carrier."""
        self._drains_stopped = True
        self._wake_drainers()

    def _wake_drainers(self) -> None:
        waiters = self._drain_waiters
        self._drain_waiters = None
        if waiters is not None:
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def _send(self, out: list[bytes]) -> None:
        transport = self.transport
        if transport is None:
            return
        if len(out) == 1:
            transport.write(out[0])
        elif out and not transport.is_closing():  # asyncio would watch the descriptor beyond its close
            transport.writelines(out)
            if not self._writing_paused and transport.get_write_buffer_size() > HIGH_WATER_BYTES:
                # asyncio's own writelines() does not look at the mark in Python 3.12 and 3.13; this does everywhere.
                transport.set_write_buffer_limits(HIGH_WATER_BYTES, LOW_WATER_BYTES)

    def _notice_loss(self) -> None:
        """Block the output if the last write has found the client gone.

        connection_lost() needs a turn of the loop to say so, and an application that waits for nothing but `send` would never
        give it one. Asked where more is to come only: the end of a response lets go of the loop anyway.
        """
        if not self._closing and self.transport is not None and self.transport.is_closing():
            self._writing_paused = True

    # -- input and its back-pressure

    def set_reading(self, pause: bool) -> None:
        """See Carrier."""
        if pause != self._reading_paused and self.transport is not None:
            self._reading_paused = pause
            if pause:
                self.transport.pause_reading()
            elif not self._eof:
                # asyncio's reader keeps the context it is added in, which may be a request's.
                self._context.base_context.copy().run(self.transport.resume_reading)

    # -- the deadline

    def arm(self, kind: int, seconds: float) -> None:
        """See Carrier."""
        self._deadline_kind = kind
        if seconds > 0:
            self._context.timers.arm(self._deadline, seconds)
        else:
            self._context.timers.disarm(self._deadline)

    def disarm(self) -> None:
        """See Carrier."""
        if self._deadline_kind != NO_DEADLINE:
            self._deadline_kind = NO_DEADLINE
            self._context.timers.disarm(self._deadline)

    def _client_takes(self, seconds: float) -> bool:
        """Whether output is still on its way to a client that takes some now and then. Asked every `seconds`."""
        waiting_bytes: int = self.transport.get_write_buffer_size()
        unsent_bytes = waiting_bytes + kernel_bytes(self.transport)
        if unsent_bytes != self._unsent_bytes:
            self._unsent_bytes = unsent_bytes
            self._stalled_seconds = 0.0
            return unsent_bytes > 0
        self._stalled_seconds += seconds
        return waiting_bytes > 0 and self._stalled_seconds < STALLED_SECONDS

    def _look_at_output(self) -> None:
        """The time of a look at blocked output has come."""
        if self._client_takes(STALL_LOOK_SECONDS):
            self.arm(STALL, STALL_LOOK_SECONDS)
        else:
            self._give_up()

    # -- the end

    def end(self, settled: bool) -> None:
        """See Carrier."""
        self._closing = True
        self.disarm()
        transport = self.transport
        if transport is None:
            return
        if self._eof or (settled and not self._reading_paused) or not transport.can_write_eof():
            transport.close()
            if transport.get_write_buffer_size():
                self.arm(LINGER, LINGER_SECONDS)
            return
        # A close now would reset the connection, and the reset can overtake the answer.
        self._linger_left_bytes = LINGER_BYTES
        self.arm(LINGER, LINGER_SECONDS)
        if self._reading_paused:
            self._reading_paused = False
            transport.resume_reading()
        end_sending(transport)

    def _linger(self, size_bytes: int) -> None:
        """Bytes have come in after the end."""
        self._linger_left_bytes -= size_bytes
        if self._deadline_kind == LINGER and self._linger_left_bytes < 0:
            self.abort()

    def _lingered(self) -> None:
        """The time of a lingering close is up."""
        if self._client_takes(LINGER_SECONDS):
            self.arm(LINGER, LINGER_SECONDS)
        else:
            self._give_up()

    def _give_up(self) -> None:
        """End now: there is nothing that the client would take any more."""
        if self.transport.get_write_buffer_size():
            # That is lost. Where the close ends a response, a FIN would call it whole; and the kernel would go on offering
            # what it holds itself.
            make_close_a_reset(self.transport)
        self.abort()

    def abort(self) -> None:
        """See Carrier."""
        self._closing = True
        self.disarm()
        if self.transport is not None:
            self.transport.abort()

    def _leave(self) -> None:
        """The transport belongs to another protocol now, or to none."""
        context = self._context
        self.transport = None
        self._closing = True
        context.server_state.connections.discard(self)
        context.timers.remove(self._deadline)
        self._wake_drainers()

    def _lost(self, name: str) -> None:
        """The connection is gone; `name` as in `_open`."""
        if self._context.is_tracing:
            trace(self.client, f"{name} connection lost")
        self._leave()
