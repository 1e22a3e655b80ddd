"""Signals that end the server, and the watchdog that ends the process when the server cannot. Knows no connection.

Once a signal has come, the event loop is trusted to wind up in time. A handler that blocks the loop, or a task that will
not die, would keep it from that: so a thread watches the clock, and ends the process the way the signal would have.
"""

from __future__ import annotations

import _thread
import contextlib
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator

__all__ = ["HANDLED_SIGNALS", "Watchdog", "end_process", "flush_output", "handlers", "on_hangup"]

logger = logging.getLogger("picocorn.error")

HANDLED_SIGNALS: tuple[signal.Signals, ...] = (signal.SIGINT, signal.SIGTERM)
if sys.platform == "win32":
    HANDLED_SIGNALS += (signal.SIGBREAK,)

#: For what the watchdog does beside the killing: a log handler that hangs must not hang it too.
LAST_WORDS_SECONDS = 1.0
#: For a signal to do its work. PID 1 of a container is immune to signals it has no handler for.
SIGNAL_SECONDS = 1.0


@contextlib.contextmanager
def handlers(handler: Callable[..., object]) -> Iterator[None]:
    """Let `handler` take the signals until the block ends. Does nothing outside the main thread, which alone may do it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, handler) for number in HANDLED_SIGNALS}
    try:
        yield
    finally:
        for number, old in previous.items():
            # None: somebody's handler in C, which Python cannot put back.
            signal.signal(number, signal.SIG_DFL if old is None else old)


@contextlib.contextmanager
def on_hangup(act: Callable[[], object]) -> Iterator[None]:
    """Have SIGHUP do `act` until the block ends, where it would end the process: whoever ignores or handles it has a reason."""
    number = getattr(signal, "SIGHUP", None)
    if (
        number is None
        or threading.current_thread() is not threading.main_thread()
        or signal.getsignal(number) is not signal.SIG_DFL
    ):
        yield
        return
    signal.signal(number, lambda _number, _frame: act())
    try:
        yield
    finally:
        signal.signal(number, signal.SIG_DFL)


def flush_output() -> None:
    """Write out what print() has left in buffers: a process that a signal ends does not."""
    for stream in (sys.stdout, sys.stderr):
        # A closed or broken pipe has nobody left to read it.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()


def end_process(number: int) -> None:
    """End this process from any thread as signal `number` would have, with its exit code."""
    if _restore_default(number):
        os.kill(os.getpid(), number)
        time.sleep(SIGNAL_SECONDS)
    os._exit(128 + number)


def _restore_default(number: int) -> bool:
    """Put back the kernel's own action. `signal.signal` may only be called in the main thread; libc does not mind."""
    try:
        import ctypes

        set_action = ctypes.CDLL(None).signal
    except (ImportError, AttributeError, OSError, TypeError):
        return False
    set_action.argtypes = [ctypes.c_int, ctypes.c_void_p]
    set_action.restype = ctypes.c_void_p
    set_action(number, None)
    return True


class Watchdog:
    """Ends the process unless it is told in time that all is well.

    Its threads come from `_thread`: it is armed within signal handlers, which may have interrupted the main thread while
    that held one of the locks of `threading`.
    """

    def __init__(self) -> None:
        #: held until disarmed; None when the clock does not run
        self._armed: _thread.LockType | None = None
        self._deadline = 0.0

    @property
    def armed(self) -> bool:
        """Whether the clock is running."""
        return self._armed is not None

    def arm(self, seconds: float, number: int, what: str) -> None:
        """In `seconds`, end the process by signal `number`, saying that `what` took too long. An earlier deadline stays."""
        deadline = time.monotonic() + seconds
        if self._armed is not None:
            if self._deadline <= deadline:
                return
            self.disarm()
        lock = _thread.allocate_lock()
        lock.acquire()
        self._armed = lock
        self._deadline = deadline
        _thread.start_new_thread(_watch, (lock, seconds, number, what))

    def disarm(self) -> None:
        """Stop the clock."""
        if self._armed is not None:
            self._armed.release()
            self._armed = None


def _watch(disarmed: _thread.LockType, seconds: float, number: int, what: str) -> None:
    if disarmed.acquire(timeout=seconds):
        return
    # In a thread of its own: the main thread may be holding the lock of a log handler for ever.
    said = _thread.allocate_lock()
    said.acquire()
    _thread.start_new_thread(_say_last_words, (said, what))
    said.acquire(timeout=LAST_WORDS_SECONDS)
    end_process(number)


def _say_last_words(said: _thread.LockType, what: str) -> None:
    try:
        _last_words(what)
    finally:
        said.release()


def _last_words(what: str) -> None:
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    where = "".join(traceback.format_stack(frame)) if frame is not None else ""
    logger.critical("%s did not end in time. Ending the process; its main thread was here:\n%s", what, where)
    flush_output()
