"""What every test shares. Kept small on purpose: a fixture for one room lives beside that room's tests."""

from __future__ import annotations

from picocorn.base.native import body_in_use


def pytest_report_header() -> str:
    """Say which bodies are tested, so that a log can be trusted later."""
    return f"picocorn: {body_in_use()}"
