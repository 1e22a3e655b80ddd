"""Memory that one burst of bodies has used is there for the next. Of a process of its own: what glibc has learned, it keeps."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or platform.python_implementation() != "CPython", reason="about glibc's malloc"
)

#: Each burst is 4 MiB, 1024 pages; one that faults them in again shows it.
BURSTS = """
import resource
from picocorn.transport.memory import keep_freed_memory
if {keep}:
    keep_freed_memory()
def burst():
    bodies = [b"x" * 262144 for _ in range(16)]
burst()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(16):
    burst()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(keep: bool, **environment: str) -> int:
    code = BURSTS.format(keep=keep)
    environment = {**os.environ, **environment}
    return int(subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True).stdout)


def test_a_burst_uses_the_memory_of_the_one_before() -> None:
    assert faults(keep=True) < 1024


def test_limits_of_the_environment_are_respected() -> None:
    # Given back at once, whatever is freed: most of 16 times 1024 pages is faulted in again.
    assert faults(keep=True, MALLOC_TRIM_THRESHOLD_="0", MALLOC_MMAP_THRESHOLD_="131072") > 8192
