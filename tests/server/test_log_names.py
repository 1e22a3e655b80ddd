"""One logger, two names. In processes of their own: the table of loggers is one for a whole process."""

from __future__ import annotations

import subprocess
import sys

import pytest

BEGIN = """
import logging
from picocorn.server.log_names import install_twin_names
"""

CASES = {
    "fresh": """
install_twin_names()
for theirs in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
    assert logging.getLogger(theirs) is logging.getLogger(theirs.replace("uvicorn", "picocorn"))
""",
    "again": """
install_twin_names()
install_twin_names()
assert logging.getLogger("uvicorn") is logging.getLogger("picocorn")
""",
    "theirs was set up before": """
early = logging.getLogger("uvicorn.access")
handler = logging.NullHandler()
early.addHandler(handler)
early.addFilter(lambda record: True)
early.setLevel("ERROR")
early.propagate = False
install_twin_names()
ours = logging.getLogger("picocorn.access")
assert logging.getLogger("uvicorn.access") is ours
assert ours.handlers == [handler] and ours.level == logging.ERROR and not ours.propagate and len(ours.filters) == 1
# Whoever holds the early one goes on working with the same logger.
early.setLevel("DEBUG")
later = logging.NullHandler()
early.addHandler(later)
assert ours.level == logging.DEBUG and later in ours.handlers
ours.disabled = True
assert early.disabled
""",
    "both were set up before": """
first, second = logging.NullHandler(), logging.NullHandler()
logging.getLogger("picocorn").addHandler(first)
logging.getLogger("uvicorn").addHandler(second)
install_twin_names()
assert logging.getLogger("uvicorn").handlers == [first, second]
""",
    "children": """
before = logging.getLogger("uvicorn.mine")
install_twin_names()
after = logging.getLogger("uvicorn.other")
ours = logging.getLogger("picocorn")
assert before.parent is ours and after.parent is ours
""",
    "children of a logger that was set up before": """
parent = logging.getLogger("uvicorn")
child = logging.getLogger("uvicorn.mine")
install_twin_names()
assert child.parent is logging.getLogger("picocorn")
""",
}


@pytest.mark.parametrize("name", CASES)
def test_names(name: str) -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", BEGIN + CASES[name]], check=True)
