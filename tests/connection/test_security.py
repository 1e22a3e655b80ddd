"""What encryption puts into scopes: prepared once, and yet each request's own."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from types import ModuleType
from typing import Any

from picocorn.transport.tls_facts import TLSFacts

FACTS = TLSFacts(version=0x0304, cipher_suite=0x1302, client_chain=("leaf", "above"), client_name="CN=me")


def scope() -> dict[str, Any]:
    return {"type": "http", "scheme": "http", "extensions": {"http.response.trailers": {}}}


def test_each_request_has_its_own(room: Callable[[str], ModuleType]) -> None:
    security = room("connection.security").Security(FACTS, "server")
    expected = {
        "server_cert": "server",
        "client_cert_chain": ["leaf", "above"],
        "client_cert_name": "CN=me",
        "client_cert_error": None,
        "tls_version": 0x0304,
        "cipher_suite": 0x1302,
    }
    for _ in range(2):
        one = scope()
        before = one["extensions"]
        assert security.apply(one) is None
        assert one == {"type": "http", "scheme": "https", "extensions": {"http.response.trailers": {}, "tls": expected}}
        assert before == {"http.response.trailers": {}}
        assert pickle.loads(pickle.dumps(one)) == one
        # What an application does with it is its own business.
        one["extensions"]["tls"]["client_cert_chain"].clear()
        one["extensions"]["tls"].clear()


def test_tls_that_ends_at_a_proxy_is_a_scheme(room: Callable[[str], ModuleType]) -> None:
    one = scope()
    room("connection.security").Security(None, None).apply(one)
    assert one == {**scope(), "scheme": "https"}
