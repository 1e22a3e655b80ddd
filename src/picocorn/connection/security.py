"""What a connection's transport knows about encryption, and what that changes in the scopes of its requests. Knows no request."""

from __future__ import annotations

from typing import Any

__all__ = ["Security", "security_of"]


class Security:
    """Encryption of one connection; there only where there is some."""

    __slots__ = ()

    def apply(self, scope: dict[str, Any]) -> None:
        """Change `scope` (of type http) in place."""
        scope["scheme"] = "https"


def security_of(transport: Any) -> Security | None:
    """How the connection of `transport` is encrypted, at this end or, as a proxy tells, at the client's; None if it is not."""
    header = transport.get_extra_info("proxy_header")
    if header is not None and header.over_tls:
        return Security()
    return None
