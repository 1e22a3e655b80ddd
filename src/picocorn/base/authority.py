"""What counts as the host and port of a request, said once for every version of HTTP. Knows no field and no message."""

from __future__ import annotations

import re

__all__ = ["is_valid_host"]

# RFC 3986 3.2.2 without IPvFuture (nobody has ever seen one) and without zone identifiers (RFC 9110 4.2.5 wants no
# sender to use them); frameworks build URLs from this value, so what they could not read must not get past here.
_HOST = re.compile(
    rb"(?:(?:[0-9A-Za-z\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+"
    rb"|\[(?=[^:\]]*:[^:\]]*:)[0-9A-Fa-f:.]{2,45}\])"
    rb"(?::([0-9]{0,5}))?"
)


def is_valid_host(value: bytes) -> bool:
    """Whether `value` is `uri-host [ ":" port ]` with a host and a port up to 65535 (RFC 9110 7.2). Empty is not."""
    match = _HOST.fullmatch(value)
    return match is not None and (not (port := match[1]) or int(port) <= 65535)
