"""The C codec's own tests (`csrc/test/`), built under sanitizers and run with each compiler that is here.

A machine without any C compiler is the only reason to skip: then there is no native body to test either.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

CSRC = Path(__file__).parents[2] / "csrc"
CORPUS = Path(__file__).parents[1] / "corpus" / "http1"
FOUND = [compiler for compiler in ("gcc", "clang") if shutil.which(compiler)] or [cc for cc in ("cc",) if shutil.which(cc)]

pytestmark = pytest.mark.skipif(not FOUND, reason="there is no C compiler here")


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("compiler", FOUND)
def test_codec_under_sanitizers(compiler: str, tmp_path: Path) -> None:
    # The Makefile itself says so when the sanitizer runtime is missing, and that is a failure.
    assert shutil.which("make"), "make is missing"
    output = run(
        "make", "-s", "-j2", "-C", str(CSRC / "test"), "check", f"CC={compiler}", f"BUILD={tmp_path}", f"CORPUS={CORPUS}"
    )
    tallies = [line for line in output.splitlines() if " checks, " in line]
    assert len(tallies) == len(list((CSRC / "test").glob("test_*.c"))), output
    assert all(line.endswith(" 0 failures") for line in tallies), output


@pytest.mark.parametrize("compiler", FOUND)
@pytest.mark.parametrize("path", sorted(CSRC.glob("*.c")), ids=lambda path: path.name)
def test_every_file_compiles_alone_and_optimized(path: Path, compiler: str, tmp_path: Path) -> None:
    # Warnings that need the optimizer's view (-Wmaybe-uninitialized) do not show in a sanitizer build. No per-file flags: the
    # kernels carry their instruction set themselves.
    flags = ("-std=c11", "-O3", "-Wall", "-Wextra", "-Werror", "-Wpedantic")
    run(compiler, *flags, "-c", str(path), "-o", str(tmp_path / "out.o"))


@pytest.mark.skipif("clang" not in FOUND, reason="only clang can look at code for another architecture without its headers")
@pytest.mark.parametrize(
    "path", sorted({*CSRC.glob("scan_*.c"), *CSRC.glob("websocket_mask_*.c"), CSRC / "utf8.c"}), ids=lambda path: path.name
)
def test_kernels_compile_for_arm(path: Path, tmp_path: Path) -> None:
    # Freestanding: all that the kernels need of the other architecture's C library is this.
    (tmp_path / "string.h").write_text("void *memcpy(void *to, const void *from, __SIZE_TYPE__ size);\n", encoding="ascii")
    flags = ("--target=aarch64-unknown-none", "-ffreestanding", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only")
    run("clang", *flags, "-isystem", str(tmp_path), str(path))


EMULATED = ("aarch64-linux-gnu-gcc", "qemu-aarch64")


@pytest.mark.skipif(not all(map(shutil.which, EMULATED)), reason=f"needs {' and '.join(EMULATED)}")
def test_codec_on_arm(tmp_path: Path) -> None:
    """With the NEON kernels, which the processors that tests mostly run on do not have."""
    compiler, emulator = EMULATED
    output = run(
        *("make", "-s", "-j2", "-C", str(CSRC / "test"), "check", f"CC={compiler}", "SANITIZE=-static", f"RUN={emulator}"),
        *(f"BUILD={tmp_path}", f"CORPUS={CORPUS}"),
    )
    assert output.count("kernels: scalar neon; chosen: neon\n") == 2
    tallies = [line for line in output.splitlines() if " checks, " in line]
    assert len(tallies) == len(list((CSRC / "test").glob("test_*.c"))), output
    assert all(line.endswith(" 0 failures") for line in tallies), output
