"""How connections end: bounds of the lingering close (RFC 9112 9.6), and the close that nobody takes for a clean one."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
from typing import Any

__all__ = [
    "LINGER_BYTES",
    "LINGER_SECONDS",
    "STALLED_SECONDS",
    "STALL_LOOK_SECONDS",
    "UPLOAD_SECONDS",
    "end_sending",
    "kernel_bytes",
    "make_close_a_reset",
]

#: A client that is still sending has this long to notice our answer.
LINGER_SECONDS = 5.0
#: On a stream of HTTP/2, where we can say that we are not interested, this long.
UPLOAD_SECONDS = 1.0
#: And may send this much meanwhile; more than the largest burst a well-meaning client has under way.
LINGER_BYTES = 16 * 1024 * 1024
#: A client that takes nothing of what waits for it for so long has gone, or means harm.
STALLED_SECONDS = 60.0
#: Between two looks at whether it takes something, while an application waits until it does.
STALL_LOOK_SECONDS = STALLED_SECONDS / 4


def end_sending(transport: Any) -> None:
    """Half-close `transport`. A client that has reset the connection is none of the caller's business: its loss is on the way."""
    with contextlib.suppress(OSError):
        transport.write_eof()


if sys.platform == "linux":
    import fcntl
    import termios

    def kernel_bytes(transport: Any) -> int:
        """What the kernel holds of what was sent: until the peer's has it, whose buffer is as large as what nobody reads there.

        Megabytes on a line that is slow; nothing changes there for minutes as `transport` sees it.
        """
        sock = transport.get_extra_info("socket")
        # Where there is no socket any more, or the kernel does not tell, what the transport holds has to do.
        with contextlib.suppress(OSError, AttributeError, TypeError, ValueError):
            return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
        return 0

else:

    def kernel_bytes(transport: Any) -> int:
        """Nothing: the kernel does not tell."""
        return 0


def make_close_a_reset(transport: Any) -> None:
    """Let the coming close of `transport` be a TCP RST: where the close is what ends a response, a FIN would call it whole."""
    sock = transport.get_extra_info("socket")
    # Nothing to reset where there is no TCP, or no connection any more.
    with contextlib.suppress(OSError, AttributeError, TypeError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
