"""From decoded fields to a request head: the rules of RFC 9113 8.1 to 8.5 for messages, the same for both engines.

One `HeadBuilder` takes the field lines of one section after the other; field sections of a connection never mix. Knows no
frame, no stream and no compression. This text is compiled a second time as `heads_c`.
"""

from __future__ import annotations

import re

from ..base.authority import is_valid_host
from ..base.limits import MAX_INT63, HTTP2Limits
from ..base.request_head_py import RequestHead
from .settings import HARD_LIMIT_FACTOR

__all__ = ["HeadBuilder", "judge_field"]

# What a field is to the builder. From BAD_NAME on it is malformed, whatever is around it.
PLAIN = 0
FORWARDED = 1
COOKIE = 2
HOST = 3
CONTENT_LENGTH = 4
EXPECT = 5
PRIORITY = 6
METHOD = 7
SCHEME = 8
AUTHORITY = 9
PATH = 10
PROTOCOL = 11
BAD_NAME = 12
BAD_VALUE = 13
BAD_CONNECTION = 14
BAD_TE = 15
BAD_PSEUDO = 16

#: RFC 9113 6.5.2: what a field counts beside its name and value.
FIELD_OVERHEAD_BYTES = 32
#: RFC 9218 4.1: the urgency of who says nothing.
DEFAULT_URGENCY = 3
#: Longer methods are 501, as on HTTP/1.
METHOD_BYTES = 32

_BAD_KINDS = {
    BAD_NAME: "FIELD_NAME",
    BAD_VALUE: "FIELD_VALUE",
    BAD_CONNECTION: "CONNECTION_FIELD",
    BAD_TE: "TE",
    BAD_PSEUDO: "PSEUDO_UNKNOWN",
}
_KINDS = {
    b":method": METHOD,
    b":scheme": SCHEME,
    b":authority": AUTHORITY,
    b":path": PATH,
    b":protocol": PROTOCOL,
    b"host": HOST,
    b"cookie": COOKIE,
    b"content-length": CONTENT_LENGTH,
    b"expect": EXPECT,
    b"priority": PRIORITY,
    b"x-forwarded-for": FORWARDED,
    b"x-forwarded-proto": FORWARDED,
    b"connection": BAD_CONNECTION,
    b"keep-alive": BAD_CONNECTION,
    b"proxy-connection": BAD_CONNECTION,
    b"transfer-encoding": BAD_CONNECTION,
    b"upgrade": BAD_CONNECTION,
    b"te": BAD_TE,  # unless it says trailers
}
_METHODS = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT")}

_LOWER_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]++")
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++")
# Any byte but the controls; HTAB is allowed (RFC 9110 5.5), and so are bytes from 0x80 on (obs-text).
_VALUE = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*+")
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+\-.]*+")
# 0x21-0x7E without "#": a fragment is never sent. The same characters as in a target of HTTP/1.
_PATH = re.compile(rb"/[!\"$-~]*+")
_MAX_DIGITS = len(str(MAX_INT63))
_URGENCY = re.compile(rb"(?:^|,)[ \t]*u=([0-7])[ \t]*(?:;[^,]*)?(?=,|$)")
_INCREMENTAL = re.compile(rb"(?:^|,)[ \t]*i(=\?[01])?[ \t]*(?:;[^,]*)?(?=,|$)")


#: The fields of no section. Never appended to.
_NOTHING: list[tuple[bytes, bytes]] = []


def judge_field(name: bytes, value: bytes) -> int:
    """What kind of field this is, judged by itself (RFC 9113 8.2.1, 8.2.2). The same field is always of the same kind."""
    kind = _KINDS.get(name, PLAIN)
    if kind == PLAIN and _LOWER_NAME.fullmatch(name) is None:
        return BAD_PSEUDO if name.startswith(b":") else BAD_NAME
    if _VALUE.fullmatch(value) is None or (value and (value[0] in b" \t" or value[-1] in b" \t")):
        return BAD_VALUE
    if kind == BAD_TE and value.lower() == b"trailers":
        return PLAIN
    return kind


def read_priority(value: bytes) -> tuple[int, bool]:
    """Urgency and whether to be served bit by bit, of a Priority field or PRIORITY_UPDATE frame (RFC 9218 4).

    What cannot be read is ignored, as section 4 wants it.
    """
    urgency, incremental = DEFAULT_URGENCY, False
    for match in _URGENCY.finditer(value):
        urgency = int(match[1])
    for match in _INCREMENTAL.finditer(value):
        incremental = match[1] != b"=?0"
    return urgency, incremental


def content_length_of(value: bytes) -> int:
    """The number, -1 for what is none up to 2^63-1 (RFC 9110 8.6)."""
    digits = value.lstrip(b"0") or value[-1:]
    # isdigit() on bytes knows ASCII digits only, unlike str.isdigit() and int().
    if not digits.isdigit() or len(digits) > _MAX_DIGITS:
        return -1
    length = int(digits)
    return length if length <= MAX_INT63 else -1


def _without_default_port(scheme: bytes, authority: bytes) -> bytes:
    return authority.lower().removesuffix(b":443" if scheme == b"https" else b":80")


class HeadBuilder:
    """Collects one field section: `begin()`, `add()` for each line, then `finish()` or `finish_trailers()`.

    Between them `verdict` names the first rule broken (`verdicts.STREAM_VERDICTS`, or `REFUSALS` for a request that was
    understood but is not served), "" for none. After `finish()`: `protocol`, `authority_present`, `urgency`, `incremental`.
    """

    __slots__ = (
        "_authority",
        "_content_length",
        "_cookie_place",
        "_cookies",
        "_count",
        "_expect",
        "_fields",
        "_forwarded",
        "_hard_bytes",
        "_host",
        "_in_fields",
        "_known_authority",
        "_known_host_field",
        "_known_method",
        "_known_name",
        "_known_path",
        "_known_query",
        "_known_raw_path",
        "_known_scheme",
        "_limit_bytes",
        "_limit_fields",
        "_method",
        "_path",
        "_scheme",
        "_size_bytes",
        "_trailers",
        "authority_present",
        "incremental",
        "protocol",
        "urgency",
        "verdict",
    )

    def __init__(self, limits: HTTP2Limits) -> None:
        self._limit_bytes = limits.header_list_bytes
        self._hard_bytes = limits.header_list_bytes * HARD_LIMIT_FACTOR
        self._limit_fields = limits.request_fields
        # Clients ask the same authority all the time, and often the same path.
        self._known_authority = b"localhost"
        self._known_host_field = (b"host", self._known_authority)
        self._known_method = b"GET"
        self._known_name = "GET"
        self._known_path = self._known_raw_path = b"/"
        self._known_query = b""
        self._known_scheme = b"http"
        self.begin(False)

    def begin(self, trailers: bool) -> None:
        """Forget the last section; begin a head, or a trailer section."""
        self._trailers = trailers
        self._in_fields = False
        self._size_bytes = 0
        self._count = 0
        self._fields: list[tuple[bytes, bytes]] = []
        self._method: bytes | None = None
        self._scheme: bytes | None = None
        self._authority: bytes | None = None
        self._path: bytes | None = None
        self._host: bytes | None = None
        self._cookies: list[bytes] | None = None
        self._cookie_place = 0
        self._content_length = -1
        self._expect = False
        self._forwarded = False
        self.protocol = b""
        self.authority_present = False
        self.urgency = DEFAULT_URGENCY
        self.incremental = False
        self.verdict = ""

    def add(self, field: tuple[bytes, bytes], kind: int) -> bool:
        """Take one line: (name, value), and what `judge_field` says of it. Returns False when the section is past bearing."""
        name, value = field
        self._size_bytes += len(name) + len(value) + FIELD_OVERHEAD_BYTES
        if self._size_bytes > self._limit_bytes:
            # Over everything else: what is malformed in the part that nobody will look at makes no difference.
            self.verdict = "HEAD_TOO_LARGE"
            self._fields = _NOTHING
            self._cookies = None
            return self._size_bytes <= self._hard_bytes
        if self.verdict:
            return True
        if kind >= METHOD:
            self._add_special(field, kind)
            return True
        self._in_fields = True
        if kind == COOKIE and not self._trailers:
            # RFC 9113 8.2.3: clients split this field, and applications expect one. It counts as one, too.
            if self._cookies is not None:
                self._cookies.append(value)
                return True
            self._cookie_place = len(self._fields)
            self._cookies = [value]
        self._count += 1
        if self._count > self._limit_fields:
            self.verdict = "TOO_MANY_FIELDS"
            return True
        self._fields.append(field)
        if kind != PLAIN and not self._trailers:
            self._note(value, kind)
        return True

    def _note(self, value: bytes, kind: int) -> None:
        """Look at a regular field that means something to the server."""
        if kind == FORWARDED:
            self._forwarded = True
        elif kind == CONTENT_LENGTH:
            length = content_length_of(value)
            if length < 0 or self._content_length >= 0:
                self.verdict = "CONTENT_LENGTH"
            self._content_length = length
        elif kind == HOST:
            if self._host is not None:
                self.verdict = "HOST_DUPLICATE"
            self._host = value
        elif kind == EXPECT:
            if value.lower() == b"100-continue":
                self._expect = True
            else:
                self.verdict = "EXPECTATION"
        elif kind == PRIORITY:
            self.urgency, self.incremental = read_priority(value)

    def _add_special(self, field: tuple[bytes, bytes], kind: int) -> None:
        """Take a pseudo-header field, or note what is wrong with a field by itself."""
        value = field[1]
        if kind >= BAD_NAME:
            self.verdict = _BAD_KINDS[kind]
        elif self._trailers:
            self.verdict = "PSEUDO_TRAILER"
        elif self._in_fields:
            self.verdict = "PSEUDO_ORDER"
        elif kind == METHOD:
            if self._method is not None:
                self.verdict = "PSEUDO_DUPLICATE"
            self._method = value
        elif kind == SCHEME:
            if self._scheme is not None:
                self.verdict = "PSEUDO_DUPLICATE"
            self._scheme = value
        elif kind == AUTHORITY:
            if self._authority is not None:
                self.verdict = "PSEUDO_DUPLICATE"
            self._authority = value
            self._fields.append(self._known_host_field if value == self._known_authority else (b"host", value))
        elif kind == PATH:
            if self._path is not None:
                self.verdict = "PSEUDO_DUPLICATE"
            self._path = value
        else:
            if self.protocol or not value:
                self.verdict = "PSEUDO_DUPLICATE" if self.protocol else "PROTOCOL"
            self.protocol = value

    def finish_trailers(self, end: bool) -> str:
        """The verdict on a trailer section; `end` is whether it ended the stream. Its fields are dropped."""
        verdict = self.verdict
        if verdict in ("HEAD_TOO_LARGE", "TOO_MANY_FIELDS"):
            verdict = "TRAILERS_TOO_LARGE"
        elif not verdict and not end:
            verdict = "TRAILERS_WITHOUT_END"
        self._fields = _NOTHING
        return verdict

    def finish(self, end: bool) -> RequestHead | None:
        """The request's head, or None with `verdict` set. `end`: the section ended the stream."""
        if not self.verdict:
            if (
                self._method is self._known_method
                and self._path is self._known_path
                and self._authority is self._known_authority
                and self._scheme is self._known_scheme
                and self._host is None
                and not self.protocol
            ):
                # An engine that gives the same objects again, where the peer refers to the same table entries.
                self.authority_present = True
            else:
                self._judge()
        if self.verdict:
            self._fields = _NOTHING
            self._cookies = None
            return None
        if self._content_length > 0 and end:
            self.verdict = "CONTENT_LENGTH_MISMATCH"
            return None
        fields = self._fields
        if self._cookies is not None and len(self._cookies) > 1:
            fields[self._cookie_place] = (b"cookie", b"; ".join(self._cookies))
        if self.authority_present and self._host is not None:
            # RFC 9113 8.3.1: the field that stands first comes from :authority.
            fields = [field for place, field in enumerate(fields) if place == 0 or field[0] != b"host"]
        method = self._method
        assert method is not None
        head = RequestHead()
        if method is self._known_method:
            head.method = self._known_name
        else:
            head.method = _METHODS.get(method) or method.decode("ascii").upper()
        head.target = self._known_path
        head.raw_path = self._known_raw_path
        head.query_string = self._known_query
        if self._path is None:
            head.target = head.raw_path = head.query_string = b""
        head.http_version = "2"
        head.headers = fields
        head.content_length = self._content_length
        head.chunked = False
        head.keep_alive = True
        head.expect_continue = self._expect and not end and self._content_length != 0
        head.upgrade = b""
        head.forwarded = self._forwarded
        # The application may keep the list; nothing here may hold it any longer.
        self._fields = _NOTHING
        return head

    def _judge(self) -> None:
        """The rules for a head as a whole (RFC 9113 8.3.1 and 8.5, RFC 8441 4)."""
        method = self._method
        if method is None or (method not in _METHODS and _TOKEN.fullmatch(method) is None):
            self.verdict = "PSEUDO_MISSING" if method is None else "METHOD"
        elif len(method) > METHOD_BYTES:
            self.verdict = "METHOD_TOO_LONG"
        elif method == b"CONNECT" and not self.protocol:
            if self._scheme is not None or self._path is not None or self._authority is None:
                self.verdict = "PSEUDO_MISSING"
            else:
                self._judge_host()
        elif self._scheme is None or self._path is None or (self.protocol and self._authority is None):
            self.verdict = "PSEUDO_MISSING"
        elif self.protocol and (method != b"CONNECT" or _TOKEN.fullmatch(self.protocol) is None):
            self.verdict = "PROTOCOL"
        elif self._scheme != self._known_scheme and _SCHEME.fullmatch(self._scheme) is None:
            self.verdict = "SCHEME"
        else:
            self._known_scheme = self._scheme
            if self._path != self._known_path or self._path == b"*":
                self._judge_path(method)
            if not self.verdict:
                # Together with the path: whether "*" may stand there depends on it.
                self._known_method = method
                self._known_name = _METHODS.get(method) or method.decode("ascii").upper()
                self._judge_host()

    def _judge_path(self, method: bytes) -> None:
        path = self._path
        assert path is not None
        if path == b"*" and method == b"OPTIONS":
            raw_path, query = path, b""
        elif _PATH.fullmatch(path) is not None:
            raw_path, _, query = path.partition(b"?")
            if len(raw_path) == len(path):
                raw_path = path
        else:
            self.verdict = "PATH"
            return
        self._known_path = path
        self._known_raw_path = raw_path
        self._known_query = query

    def _judge_host(self) -> None:
        authority, host = self._authority, self._host
        if authority is None:
            if host is None:
                self.verdict = "HOST_MISSING"
            elif not is_valid_host(host):
                self.verdict = "HOST"
            return
        if authority != self._known_authority:
            if not is_valid_host(authority):
                self.verdict = "AUTHORITY"
                return
            self._known_authority = authority
            self._known_host_field = self._fields[0]
        if host is not None and host != authority:
            scheme = self._scheme or b""
            if _without_default_port(scheme, host) != _without_default_port(scheme, authority):
                self.verdict = "HOST"
        self.authority_present = True
