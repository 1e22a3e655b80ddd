"""The keys of an `http` scope, those of one server filled in, in the order in which people read a printed scope.

One text for both bodies of the scope builder.
"""

from __future__ import annotations

from typing import Any

__all__ = ["SPEC_VERSION", "scope_template"]

#: Of the ASGI HTTP specification that scope and events follow.
SPEC_VERSION = "2.5"


def scope_template(scheme: str, root_path: str) -> dict[str, Any]:
    """A scope whose keys are all there; those that each connection or request sets itself hold placeholders."""
    return {
        "type": "http",
        "asgi": None,
        "http_version": "1.1",
        "server": None,
        "client": None,
        "scheme": scheme,
        "method": "",
        "root_path": root_path,
        "path": "",
        "raw_path": b"",
        "query_string": b"",
        "headers": None,
        "state": None,
        "extensions": None,
    }
