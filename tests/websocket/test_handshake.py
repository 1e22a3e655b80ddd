"""The opening handshake: every case of its corpus through both HTTP/1 parsers, and what stands beside the corpus."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from picocorn.base.errors import RemoteProtocolError
from picocorn.base.limits import HTTP1Limits
from picocorn.http1.events import HEAD
from picocorn.websocket.deflate import negotiate
from picocorn.websocket.handshake import HANDSHAKE_VERDICTS, VERSION, accept_value, check_handshake, wants_websocket
from websocket_corpus import HandshakeCase, files, read_handshakes

quickly = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

CASES = [case for path in files("handshake") for case in read_handshakes(path)]

FIELDS = (
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    b"Sec-WebSocket-Version: 13",
)


@pytest.fixture
def head_of(room: Callable[[str], ModuleType]) -> Callable[[bytes], Any]:
    """`head_of(request)`: its head, parsed by the parser whose turn it is."""

    def head_of(request: bytes) -> Any:
        parser = room("http1.parser").RequestParser(HTTP1Limits())
        parser.feed(request)
        assert parser.next_event() == HEAD
        return parser.head

    return head_of


@pytest.mark.parametrize("case", CASES, ids=[f"{case.file}:{case.name}" for case in CASES])
def test_case(case: HandshakeCase, head_of: Callable[[bytes], Any]) -> None:
    head = head_of(case.input)
    if case.error:
        with pytest.raises(RemoteProtocolError) as caught:
            check_handshake(head)
        assert f"{caught.value.code} {caught.value.status_hint}" == case.error
        assert str(caught.value) == HANDSHAKE_VERDICTS[caught.value.code][1]
        return
    handshake = check_handshake(head)
    assert wants_websocket(head)
    assert handshake.key == case.key
    assert handshake.subprotocols == case.subprotocols
    accepted = negotiate(handshake.extension_offers)
    assert (b"" if accepted is None else accepted.response_field()) == case.deflate
    if case.accept:
        assert accept_value(handshake.key) == case.accept


def test_the_corpus_is_there() -> None:
    assert len(files("handshake")) >= 6
    assert len(CASES) >= 75
    assert all(case.rule and (case.key or case.error) for case in CASES)
    assert not [name for name, count in Counter(case.name for case in CASES).items() if count > 1]


def test_every_verdict_has_a_case() -> None:
    assert {case.error.split(" ")[0] for case in CASES if case.error} == set(HANDSHAKE_VERDICTS)


def test_each_message_says_its_own_thing_and_names_its_rule() -> None:
    messages = [message for _, message in HANDSHAKE_VERDICTS.values()]
    assert len(set(messages)) == len(messages)
    assert all(re.search(r"\(RFC 6455 [0-9.]+\)$", message) for message in messages)
    assert {code for code, (status, _) in HANDSHAKE_VERDICTS.items() if status != 400} == {"HANDSHAKE_VERSION_NOT_SUPPORTED"}
    assert VERSION == b"13"


@pytest.mark.parametrize(
    ("request_line", "fields", "wants"),
    [
        (b"GET / HTTP/1.1", FIELDS, True),
        (b"GET / HTTP/1.1", (b"Upgrade: WebSocket", b"Connection: upgrade"), True),
        (b"POST / HTTP/1.1", (b"Upgrade: websocket", b"Connection: upgrade"), True),
        (b"GET / HTTP/1.1", (b"Upgrade: h2c", b"Connection: upgrade"), False),
        (b"GET / HTTP/1.1", (b"Upgrade: websocket",), False),
        (b"GET / HTTP/1.1", (b"Connection: upgrade",), False),
        (b"GET / HTTP/1.1", (), False),
        (b"GET / HTTP/1.0", FIELDS, True),
        (b"GET / HTTP/1.0", (b"Upgrade: h2c", b"Connection: upgrade"), False),
        (b"GET / HTTP/1.0", (), False),
    ],
)
def test_wants_websocket(head_of: Callable[[bytes], Any], request_line: bytes, fields: tuple[bytes, ...], wants: bool) -> None:
    assert wants_websocket(head_of(b"\r\n".join((request_line, b"Host: a", *fields, b"", b"")))) is wants


@quickly
@given(st.binary(min_size=16, max_size=16))
def test_accept_value(nonce: bytes) -> None:
    key = base64.b64encode(nonce)
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    assert accept_value(key) == base64.b64encode(digest)
