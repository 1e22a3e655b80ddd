"""Chooses the body of the HTTP/2 interfaces: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .session_py import NO_SESSION, HTTP2Session, SessionHandler
else:
    try:
        from .session_c import NO_SESSION, HTTP2Session, SessionHandler
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["NO_SESSION", "HTTP2Session", "SessionHandler"]
