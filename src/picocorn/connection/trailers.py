"""Whether a client takes trailers. Knows the fields of its request and nothing else."""

from __future__ import annotations

__all__ = ["takes_trailers"]


def takes_trailers(headers: list[tuple[bytes, bytes]]) -> bool:
    """RFC 9110 6.5.1: trailers are only for clients that said `TE: trailers`."""
    for name, value in headers:
        if name == b"te" and any(part.strip().lower() == b"trailers" for part in value.split(b",")):
            return True
    return False
