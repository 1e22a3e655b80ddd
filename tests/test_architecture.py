"""The house rules that a reader of CONTRIBUTING.md is promised. Reads the tree as text; imports nothing of picocorn."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "picocorn"

#: Arrows point from a higher number to a lower one. Folders of one number do not know each other.
LAYERS = {
    # Doors for code that knew uvicorn's layout: they point anywhere and nobody points at them.
    "middleware": 7,
    "protocols": 7,
    "cli": 6,
    "server": 5,
    "connection": 4,
    "asgi": 3,
    "http1": 2,
    "http2": 2,
    "http3": 2,
    "websocket": 2,
    "transport": 1,
    "base": 0,
}
#: The codecs are bytes <-> events; ASGI is messages. Neither may get at a socket behind the others' back.
FORBIDDEN = {
    **{codec: {"asyncio", "selectors", "socket", "ssl", "uvloop"} for codec in ("http1", "http2", "http3", "websocket")},
    "asgi": {"selectors", "socket", "ssl", "uvloop"},
    "base": {"asyncio", "click", "uvloop"},
}
MAX_LINES = 600
MAX_CHOOSER_LINES = 40

TEXT_SUFFIXES = {".c", ".cfg", ".h", ".md", ".pxd", ".py", ".pyx", ".sh", ".toml", ".txt", ".yaml", ".yml"}
FOLDERS = (".ci", ".github", "bench", "csrc", "docs", "examples", "fuzz", "scripts", "src", "tests")
PRODUCTS = {"__pycache__", "build"}


def texts() -> list[Path]:
    """Every text file of the repository that people write."""
    files = [path for path in ROOT.iterdir() if path.is_file()]
    for folder in FOLDERS:
        files += (path for path in (ROOT / folder).rglob("*") if path.is_file())
    return sorted(
        path
        for path in files
        if not PRODUCTS & set(path.relative_to(ROOT).parts)
        and ".egg-info" not in str(path)
        and (path.suffix in TEXT_SUFFIXES or path.name in {"Makefile", "run"})
        # A .c beside a .pyx would be a product; csrc/ is where C is written.
        and not (path.suffix == ".c" and path.is_relative_to(ROOT / "src"))
    )


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def room_files(*suffixes: str) -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*") if path.suffix in suffixes)


def imports_of(path: Path) -> Iterator[tuple[int, int, str, tuple[str, ...]]]:
    """(line, level, module, names) of each import and cimport in a .py, .pyx or .pxd file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(text, str(path))):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield node.lineno, 0, alias.name, ()
            elif isinstance(node, ast.ImportFrom):
                yield node.lineno, node.level, node.module or "", tuple(alias.name for alias in node.names)
        return
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.match(r"\s*from\s+(\.*)([\w.]*)\s+c?import\s+(.*)", line):
            names = tuple(re.findall(r"\w+", match[3].split("#")[0]))
            yield number, len(match[1]), match[2], names
        elif match := re.match(r"\s*c?import\s+([\w.]+)", line):
            yield number, 0, match[1], ()


def targets(path: Path, level: int, module: str, names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The modules that a relative import leads to, as paths inside the package."""
    folder = path.parent.relative_to(PACKAGE).parts
    base = folder[: len(folder) - (level - 1)] if level > 1 else folder
    if module:
        return [(*base, *module.split("."))]
    return [(*base, name) for name in names]


def test_arrows_point_down() -> None:
    wrong = []
    for path in room_files(".py", ".pyx", ".pxd"):
        layer, *inside = path.relative_to(PACKAGE).parts
        if not inside:
            continue  # __init__ and __main__ are the public face: they stand above all layers
        for line, level, module, names in imports_of(path):
            if not level:
                continue
            for target in targets(path, level, module, names):
                # The version is a plain string at the top of the package: everybody may read it.
                if target in {(), ("__version__",)}:
                    continue
                known = target[0] in LAYERS
                if not known or (target[0] != layer and LAYERS[target[0]] >= LAYERS[layer]):
                    wrong.append(f"{name_of(path)}:{line}: {layer} must not know {'.'.join(target)}")
    assert not wrong, "\n".join(wrong)


def test_every_folder_is_a_layer() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= set(LAYERS)


def test_layers_do_not_reach_behind_their_border() -> None:
    wrong = []
    for path in room_files(".py", ".pyx", ".pxd"):
        forbidden = FORBIDDEN.get(path.relative_to(PACKAGE).parts[0], set())
        wrong += [
            f"{name_of(path)}:{line}: must not import {module}"
            for line, level, module, _ in imports_of(path)
            if not level and module.split(".")[0] in forbidden
        ]
    assert not wrong, "\n".join(wrong)


def test_imports_inside_the_package_are_relative() -> None:
    wrong = [
        f"{name_of(path)}:{line}"
        for path in room_files(".py", ".pyx", ".pxd")
        for line, level, module, _ in imports_of(path)
        if not level and module.split(".")[0] == "picocorn"
    ]
    assert not wrong, wrong


def test_no_textual_include() -> None:
    wrong = [name_of(p) for p in room_files(".pyx", ".pxd") if re.search(r"^\s*include\b", p.read_text(encoding="utf-8"), re.M)]
    assert not wrong, wrong
    assert not list(PACKAGE.rglob("*.pxi"))


def test_python_stays_out_of_csrc() -> None:
    wrong = []
    for path in texts():
        parts = path.relative_to(ROOT).parts
        # The harness may allocate its guarded pages; the codec may not.
        if parts[0] == "csrc" and path.suffix in {".c", ".h"} and "test" not in parts:
            text = path.read_text(encoding="utf-8")
            if re.search(r"#\s*include\s*[<\"]Python\.h|\bPy[A-Z]\w+\(|\b[mc]alloc\(|\brealloc\(", text):
                wrong.append(name_of(path))
    assert not wrong, wrong


def native_rooms() -> list[Path]:
    """The .pyx, or where there is none the .pxd, of every native room."""
    rooms = {path.with_suffix("") for path in room_files(".pyx", ".pxd") if path.stem.endswith("_c")}
    written = {room: room.with_suffix(".pyx") for room in rooms}
    return sorted(pyx if pyx.exists() else room.with_suffix(".pxd") for room, pyx in written.items())


@pytest.mark.parametrize("path", native_rooms(), ids=name_of)
def test_native_room_has_its_files(path: Path) -> None:
    room = path.stem.removesuffix("_c")
    if path.parent.name == "transport":
        # The pure twin of the native sockets is the loop's own: same interface, another road.
        assert (path.parent / "asyncio_transport.py").exists()
        return
    if "nghttp2" in room:
        # A library does its work; without the library another engine does it, and http2/engine.py chooses.
        assert (path.parent / "engine_h2_py.py").exists()
        return
    assert path.with_suffix(".pxd").exists(), f"{path.stem}.pxd: what other native rooms may cimport"
    assert (path.parent / f"{room}_py.py").exists(), "the pure twin"
    chooser = (path.parent / f"{room}.py").read_text(encoding="utf-8")
    assert f"from .{room}_py import" in chooser
    assert f"from .{room}_c import" in chooser
    assert "NATIVE" in chooser
    assert len(chooser.splitlines()) <= MAX_CHOOSER_LINES, "a chooser chooses and does nothing else"


def test_pure_twins_import_pure_twins() -> None:
    choosers = {tuple(p.relative_to(PACKAGE).with_name(p.stem.removesuffix("_c")).parts) for p in native_rooms()}
    wrong = [
        f"{name_of(path)}:{line}: {'.'.join(target)} is a chooser; import from {'.'.join(target)}_py"
        for path in room_files(".py")
        if path.stem.endswith("_py")
        for line, level, module, names in imports_of(path)
        if level
        for target in targets(path, level, module, names)
        if target in choosers
    ]
    assert not wrong, "\n".join(wrong)


def test_files_are_short() -> None:
    long = [
        f"{name_of(path)}: {count}"
        for path in texts()
        if "corpus" not in path.parts and (count := len(path.read_text(encoding="utf-8").splitlines())) >= MAX_LINES
    ]
    assert not long, long


OPENINGS = {".c": ("/*", "//"), ".h": ("/*", "//"), ".md": ("#", "<!--"), ".pyx": ("#", '"""'), ".pxd": ("#", '"""')}


def test_every_file_begins_by_saying_what_lives_here() -> None:
    silent = []
    for path in texts():
        text = path.read_text(encoding="utf-8").lstrip()
        if path.suffix == ".py":
            speaks = ast.get_docstring(ast.parse(text)) is not None
        else:
            speaks = text.startswith(OPENINGS.get(path.suffix, ("#",)))
        if not speaks:
            silent.append(name_of(path))
    assert not silent, silent


def test_the_repository_knows_no_machine() -> None:
    places = re.compile(r"(?<![\w.])/(?:work|root|home|opt|Users)/\w")
    wrong = [
        f"{name_of(path)}:{number}: {line.strip()}"
        for path in texts()
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if places.search(line)
    ]
    assert not wrong, "\n".join(wrong)
