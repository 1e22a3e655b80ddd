"""Facts about a connection that its own transport cannot know, such as the addresses that a proxy has told. Knows no protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["TransportWithInfo", "with_extra_info"]


class TransportWithInfo:
    """A transport of the loop's, and what `get_extra_info` is to give in its place. Everything else is the transport's."""

    __slots__ = ("_extra", "_transport")

    def __init__(self, transport: Any, extra: Mapping[str, Any]) -> None:
        self._transport = transport
        self._extra = extra

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """See `interface.Transport`."""
        if name in self._extra:
            return self._extra[name]
        return self._transport.get_extra_info(name, default)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def with_extra_info(transport: Any, extra: Mapping[str, Any]) -> Any:
    """`transport`, with `extra` for its `get_extra_info`. What is returned takes the transport's place."""
    set_extra_info = getattr(transport, "set_extra_info", None)
    if set_extra_info is None:
        # The loops' transports let nobody change what they tell.
        return TransportWithInfo(transport, extra)
    set_extra_info(extra)
    return transport
