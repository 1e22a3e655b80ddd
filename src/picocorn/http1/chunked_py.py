"""The grammar of a chunk line. Pure Python.

Knows no buffer and no limits on sizes: one line with its LF goes in. The native twin does this in C
(`csrc/http1_chunked.c`).
"""

from __future__ import annotations

import re

from ..base.limits import MAX_INT63
from .verdicts import remote_error

__all__ = ["read_chunk_line"]

# 16 digits hold every size that fits, and bound endless leading zeros.
_LINE = re.compile(rb"([0-9A-Fa-f]{1,16}+)([ \t;].*)?\r\n", re.DOTALL)
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED_STRING = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+"'
_EXTENSIONS = re.compile(rb"(?:[ \t]*+;[ \t]*+%b(?:[ \t]*+=[ \t]*+(?:%b|%b))?+)*+" % (_TOKEN, _TOKEN, _QUOTED_STRING))


def read_chunk_line(line: bytes) -> tuple[int, int]:
    """Size of the chunk and length of its extensions, both in bytes (RFC 9112 7.1, 7.1.1). `line` reaches up to its LF.

    Raises RemoteProtocolError CHUNK_SIZE or CHUNK_EXTENSION.
    """
    match = _LINE.fullmatch(line)
    if match is None or (size := int(match[1], 16)) > MAX_INT63:
        raise remote_error("CHUNK_SIZE")
    extensions = match[2]
    if extensions is None:
        return size, 0
    if _EXTENSIONS.fullmatch(extensions) is None:
        raise remote_error("CHUNK_EXTENSION")
    return size, len(extensions)
