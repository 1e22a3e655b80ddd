"""Chooses the engine of HTTP/2: libnghttp2 where it was built in, else the h2 package, else none. Callers import from here.

Looks for h2 without importing it: who only asks whether there is HTTP/2 need not have it loaded. libnghttp2 is loaded when it is
first asked about, which a server does before it listens: the library may be missing where the server runs, though it was there
at the build, and no client shall be the first to find out.
"""

from __future__ import annotations

import functools
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ..base.limits import HTTP2Limits
from ..base.native import NATIVE

if TYPE_CHECKING:
    from .session_py import HTTP2Session, SessionHandler

    ENGINE: str

__all__ = ["ENGINE", "load_error", "new_pure_session", "new_session"]

_NATIVE_ROOM = f"{__package__}.engine_nghttp2_c"


@functools.cache
def load_error() -> str:
    """Why libnghttp2, though it was built in, cannot be used; "" if it can, or was not built in."""
    if NATIVE and find_spec(_NATIVE_ROOM) is not None:
        try:
            import_module(_NATIVE_ROOM)
        except ImportError as error:
            return str(error)
    return ""


@functools.cache
def _engine() -> str:
    if NATIVE and find_spec(_NATIVE_ROOM) is not None and not load_error():
        return "nghttp2"
    return "h2" if find_spec("h2") is not None else ""


def __getattr__(name: str) -> str:
    """`ENGINE`: what `new_session` gives: "nghttp2", "h2", or "" when there is neither."""
    if name == "ENGINE":
        return _engine()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def new_session(handler: SessionHandler, limits: HTTP2Limits) -> HTTP2Session:
    """A session of the engine in use, for a handler of the body in use. Raises ImportError when `ENGINE` is ""."""
    if _engine() == "nghttp2":
        from .engine_nghttp2_c import NGHTTP2Engine  # type: ignore[import-not-found, unused-ignore]

        return NGHTTP2Engine(handler, limits)  # type: ignore[no-any-return, unused-ignore]
    from .engine_h2 import H2Engine

    return H2Engine(handler, limits)


def new_pure_session(handler: SessionHandler, limits: HTTP2Limits) -> HTTP2Session:
    """The same for a handler in pure Python, whichever body is in use."""
    from .engine_h2_py import H2Engine

    return H2Engine(handler, limits)
