"""Chooses the engine of HTTP/2: libnghttp2 where it was built in, else the h2 package, else none. Callers import from here.

Looks for h2 without importing it: who only asks whether there is HTTP/2 need not have it loaded.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from ..base.limits import HTTP2Limits
from ..base.native import NATIVE

if TYPE_CHECKING:
    from .session_py import HTTP2Session, SessionHandler

__all__ = ["ENGINE", "new_pure_session", "new_session"]


def _engine() -> str:
    if NATIVE and find_spec(f"{__package__}.engine_nghttp2_c") is not None:
        return "nghttp2"
    return "h2" if find_spec("h2") is not None else ""


#: What `new_session` gives: "nghttp2", "h2", or "" when there is neither.
ENGINE: str = _engine()


def new_session(handler: SessionHandler, limits: HTTP2Limits) -> HTTP2Session:
    """A session of the engine in use, for a handler of the body in use. Raises ImportError when `ENGINE` is ""."""
    if ENGINE == "nghttp2":
        from .engine_nghttp2_c import NGHTTP2Engine  # type: ignore[import-not-found, unused-ignore]

        return NGHTTP2Engine(handler, limits)  # type: ignore[no-any-return, unused-ignore]
    from .engine_h2 import H2Engine

    return H2Engine(handler, limits)


def new_pure_session(handler: SessionHandler, limits: HTTP2Limits) -> HTTP2Session:
    """The same for a handler in pure Python, whichever body is in use."""
    from .engine_h2_py import H2Engine

    return H2Engine(handler, limits)
