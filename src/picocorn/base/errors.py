"""Every exception picocorn raises, in one tree. Nothing else lives here.

PicocornError
+-- ProtocolError
|   +-- RemoteProtocolError      the peer broke the protocol: answered with `status_hint`
|   |   +-- WebSocketError       ... of an open WebSocket: closed with `close_code`
|   |   +-- HTTP2Error           ... of an HTTP/2 connection: ended with `error_code`
|   +-- LocalProtocolError       the application broke the protocol (also a RuntimeError)
+-- ClientDisconnected           send() after the client has gone (also an OSError, ASGI 2.4)
+-- ConfigError                  a setting cannot be used: one line for the user
|   +-- ImportFromStringError    "module:attribute" does not lead to an object
+-- LifespanError                the application broke the lifespan protocol
"""

from __future__ import annotations

__all__ = [
    "ClientDisconnected",
    "ConfigError",
    "HTTP2Error",
    "ImportFromStringError",
    "LifespanError",
    "LocalProtocolError",
    "PicocornError",
    "ProtocolError",
    "RemoteProtocolError",
    "WebSocketError",
]


class PicocornError(Exception):
    """Base of everything picocorn raises on purpose."""


class ProtocolError(PicocornError):
    """A rule of the wire or of ASGI was broken; see the subclasses for by whom."""


class RemoteProtocolError(ProtocolError):
    """The peer broke a rule of the wire.

    `status_hint` (int) is the HTTP status to answer with; `code` (str) is the stable name of the verdict
    (see `http1/verdicts.py`), the same for the native and the pure parser.
    """

    def __init__(self, message: str, status_hint: int = 400, code: str = "") -> None:
        super().__init__(message)
        self.status_hint = status_hint
        self.code = code


class WebSocketError(RemoteProtocolError):
    """The peer broke a rule of an open WebSocket. The message is the reason of the close frame that answers it.

    `close_code` (int) is that frame's code (RFC 6455 7.4.1); `code` (str) is the stable name of the verdict
    (see `websocket/verdicts.py`).
    """

    def __init__(self, message: str, close_code: int = 1002, code: str = "") -> None:
        super().__init__(message, code=code)
        self.close_code = close_code


class HTTP2Error(RemoteProtocolError):
    """The peer broke a rule of an HTTP/2 connection, which is to end. The message is for the log.

    `error_code` (int) is that of the GOAWAY frame that answers it (RFC 9113 7); `code` (str) is the stable name of the
    verdict (see `http2/verdicts.py`), or the RFC's name of the error code where an engine has judged.
    """

    def __init__(self, message: str, error_code: int = 1, code: str = "") -> None:
        super().__init__(message, code=code)
        self.error_code = error_code


class LocalProtocolError(ProtocolError, RuntimeError):
    """The application broke a rule (ASGI C5, E3, E7). A RuntimeError too, because uvicorn raises that here."""


class ClientDisconnected(PicocornError, OSError):
    """Raised by `send()` once the client has gone (ASGI HTTP and WebSocket 2.4: a server-specific OSError)."""


class ConfigError(PicocornError):
    """A setting cannot be used. The message names the setting, the value and what to do; it is printed as one line."""


class ImportFromStringError(ConfigError):
    """An import string "module:attribute" does not lead to an object."""


class LifespanError(PicocornError):
    """The application sent a lifespan message that does not fit (ASGI L3, L6)."""
