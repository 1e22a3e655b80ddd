"""Answers in the server's own name."""

from __future__ import annotations

import pytest

from picocorn.asgi.canned import canned_response


@pytest.mark.parametrize("status", [400, 408, 413, 414, 417, 431, 500, 501, 503, 505])
def test_every_answer_is_whole_and_the_last(status: int) -> None:
    answered, headers, body = canned_response(status, "the detail")
    fields = dict(headers)
    assert answered == status
    assert len(fields) == len(headers)
    assert fields[b"content-length"] == b"%d" % len(body)
    assert fields[b"connection"] == b"close"
    assert fields[b"content-type"] == b"text/plain; charset=utf-8"
    assert body


@pytest.mark.parametrize(
    ("status", "body"),
    [(400, b"Invalid HTTP request received."), (403, b""), (500, b"Internal Server Error"), (503, b"Service Unavailable")],
)
def test_texts_that_others_compare_with(status: int, body: bytes) -> None:
    assert canned_response(status, "the detail")[2] == body


def test_detail_or_phrase() -> None:
    assert canned_response(431, "Too many fields.")[2] == b"Too many fields."
    assert canned_response(431)[2] == b"Request Header Fields Too Large"


def test_upgrade_required_says_to_what() -> None:
    _status, headers, body = canned_response(426, "Version 8 is not spoken.")
    assert body == b"Version 8 is not spoken."
    # RFC 6455 4.4; RFC 9110 7.8: Upgrade is always named by Connection.
    assert dict(headers) == {
        b"content-type": b"text/plain; charset=utf-8",
        b"content-length": b"24",
        b"sec-websocket-version": b"13",
        b"upgrade": b"websocket",
        b"connection": b"close, upgrade",
    }


def test_answers_share_nothing() -> None:
    canned_response(400)[1].clear()
    assert canned_response(400)[1]
