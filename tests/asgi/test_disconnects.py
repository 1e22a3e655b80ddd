"""What counts as the client's leaving rather than as a mistake of the application."""

from __future__ import annotations

import pytest

from picocorn.asgi.disconnects import says_disconnected
from picocorn.base.errors import ClientDisconnected


class ClientDisconnect(Exception):
    """As Starlette's: no OSError, raised while handling ours."""


def raised(action: str) -> BaseException:
    try:
        try:
            raise ClientDisconnected("gone")
        except OSError as error:
            if action == "cause":
                raise ValueError("wrapped") from error
            if action == "framework":
                raise ClientDisconnect  # noqa: B904
            if action == "mistake":
                raise KeyError("a bug in the clean-up")  # noqa: B904
            if action == "hidden":
                raise ClientDisconnect from ValueError("of another kind")
            raise
    except BaseException as error:
        return error


@pytest.mark.parametrize(
    ("action", "expected"), [("itself", True), ("cause", True), ("framework", True), ("mistake", False), ("hidden", False)]
)
def test_one_error(action: str, expected: bool) -> None:
    assert says_disconnected(raised(action)) is expected


def test_a_framework_error_that_send_has_not_raised_is_the_applications() -> None:
    assert not says_disconnected(ClientDisconnect())
    assert not says_disconnected(OSError("disk full"))


def test_groups_say_it_when_all_members_do() -> None:
    gone = raised("itself")
    assert says_disconnected(BaseExceptionGroup("tasks", [gone, raised("framework")]))
    assert not says_disconnected(BaseExceptionGroup("tasks", [gone, raised("mistake")]))
