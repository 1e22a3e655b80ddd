"""How the native rooms are found and compiled. Knows file names and compilers; nothing of what the rooms do.

Nothing is listed here: the tree says what is native (CONTRIBUTING.md, "Twins").

- `x_c.pyx` is an extension.
- `x_c.pxd` beside `x_py.py`, without a `.pyx`, is an extension too: the text of `x_py.py`, compiled a second time as
  `x_c`, with its imports of other pure twins turned into imports of their native ones.
- `cdef extern from "NAME.h"` links `csrc/NAME.c` and `csrc/NAME_*.c`, and what their own includes lead to.
- A room over a library of the system (`LIBRARIES`) is built where pkg-config knows the library, and left out where not.

`PICOCORN_BUILD_EXTENSION=yes` makes a failing build an error, `no` skips it. Unset: build, and if no C compiler works,
install the pure-Python bodies and say so. The set of extensions is built as a whole or not at all.
"""

from __future__ import annotations

import ast
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext as setuptools_build_ext
from setuptools.command.editable_wheel import editable_wheel as setuptools_editable_wheel

ROOT = Path(__file__).parent
SRC = Path("src")
CSRC = Path("csrc")
#: One for each interpreter: a translation depends on the Cython that its environment has.
STAGE = Path("build") / f"cython-{sys.implementation.cache_tag}"
PACKAGE = "picocorn"

#: header -> package, for pkg-config. What needs one has another way to do its work without.
LIBRARIES = {"nghttp2/nghttp2.h": ("libnghttp2", "1.52")}

#: Only Linux has epoll; elsewhere the loop's own transports serve.
LINUX_ONLY_ROOMS = {"transport"}

IS_X86 = platform.machine().lower() in {"x86_64", "amd64", "i686", "i386"}
IS_MSVC = sys.platform == "win32"
#: A kernel is compiled for the instruction set its file is named after; the dispatcher asks the CPU before it calls one.
SIMD_FLAGS = {"_sse42": ["-msse4.2"], "_avx2": ["-mavx2"]} if IS_X86 and not IS_MSVC else {}

OPTIMISATION = "-Og" if os.environ.get("PICOCORN_BUILD_DEBUG") == "1" else "-O3"
C_FLAGS = [] if IS_MSVC else ["-std=c11", OPTIMISATION, "-Wall", "-Wextra", "-fvisibility=hidden"]
# Generated code leaves parameters and helpers unused and casts METH_FASTCALL functions; none of that is ours to fix.
GENERATED_FLAGS = (
    []
    if IS_MSVC
    else [
        OPTIMISATION,
        "-Wall",
        "-Wextra",
        "-fvisibility=hidden",
        "-Wno-cast-function-type",
        "-Wno-missing-field-initializers",
        "-Wno-unused-function",
        "-Wno-unused-parameter",
        "-Wno-unused-variable",
    ]
)

COMMON_DIRECTIVES = {"language_level": 3, "binding": True, "auto_pickle": False}
#: Cython's own checks stay on: they cost nothing on C pointers, and a room that indexes Python objects in a measured hot loop
#: turns them off in its own first lines.
PYX_DIRECTIVES = COMMON_DIRECTIVES
#: A text shared with the pure twin must mean the same compiled: an exception instead of a crash on None, and types from the
#: .pxd alone (an annotation is a promise to mypy, not a request for a C double).
ONE_TEXT_DIRECTIVES = {**COMMON_DIRECTIVES, "nonecheck": True, "annotation_typing": False}


def mode() -> str:
    """What PICOCORN_BUILD_EXTENSION asks for: "yes", "no" or "auto"."""
    value = os.environ.get("PICOCORN_BUILD_EXTENSION", "").strip().lower()
    if value in {"yes", "1", "true"}:
        return "yes"
    if value in {"no", "0", "false"}:
        return "no"
    if value:
        raise SystemExit(f"PICOCORN_BUILD_EXTENSION={value!r}: expected 'yes' or 'no'")
    # The pure bodies are what PyPy's compiler likes best, and Windows is served by the loop's own transports.
    return "no" if IS_MSVC or platform.python_implementation() != "CPython" else "auto"


# --- finding ----------------------------------------------------------------------------------------------------------


def native_sources() -> dict[str, Path]:
    """Module name -> the text it is compiled from, `x_c.pyx` or `x_py.py`, for every native room of this platform."""
    found = {}
    for declaration in sorted((SRC / PACKAGE).rglob("*_c.p[xy][dx]")):
        if declaration.parent.name in LINUX_ONLY_ROOMS and sys.platform != "linux":
            continue
        twin = declaration.with_name(declaration.stem.removesuffix("_c") + "_py.py")
        if declaration.with_suffix(".pyx").exists():
            source = declaration.with_suffix(".pyx")
        elif twin.exists():
            source = twin
        else:
            raise SystemExit(f"{declaration}: neither {declaration.stem}.pyx nor {twin.name} stands beside it")
        if library_flags(declaration) is None:
            continue
        found[".".join(declaration.relative_to(SRC).with_suffix("").parts)] = source
    return found


def declared_with(declaration: Path) -> list[Path]:
    """The .pyx and .pxd of a room, and the declarations-only .pxd that they cimport."""
    todo = [declaration.with_suffix(".pyx"), declaration.with_suffix(".pxd")]
    seen: list[Path] = []
    while todo:
        path = todo.pop()
        if path in seen or not path.exists():
            continue
        seen.append(path)
        for dots, name in re.findall(r"^\s*from\s+(\.+)([\w.]+)\s+cimport\b", path.read_text(encoding="utf-8"), re.MULTILINE):
            folder = path.parents[len(dots) - 1]
            cimported = folder.joinpath(*name.split(".")).with_suffix(".pxd")
            if not cimported.stem.endswith("_c"):
                todo.append(cimported)
    return seen


def library_flags(declaration: Path) -> list[str] | None:
    """What the compiler and the linker need for the system's library behind a .pxd: [] for none, None where it is missing.

    PICOCORN_BUILD_NGHTTP2=yes makes a missing library an error, =no leaves it out.
    """
    text = "".join(path.read_text(encoding="utf-8") for path in declared_with(declaration))
    for header, (package, version) in LIBRARIES.items():
        if f'cdef extern from "{header}"' not in text:
            continue
        wanted = os.environ.get("PICOCORN_BUILD_" + package.removeprefix("lib").upper(), "")
        program = os.environ.get("PKG_CONFIG") or shutil.which("pkg-config") or shutil.which("pkgconf")
        if wanted != "no" and program:
            asked = subprocess.run(
                [program, "--cflags", "--libs", f"{package} >= {version}"], capture_output=True, text=True, check=False
            )
            if asked.returncode == 0:
                return shlex.split(asked.stdout)
        if wanted == "yes":
            raise SystemExit(f"{declaration}: pkg-config finds no {package} {version} or newer")
        return None
    return []


def c_closure(header: str) -> set[Path]:
    """The C files behind `header`: `NAME.c`, `NAME_*.c`, and those behind the headers that they include."""
    done: set[str] = set()
    todo = [header]
    files: set[Path] = set()
    while todo:
        name = todo.pop()
        if name in done or not (CSRC / name).exists():
            continue
        done.add(name)
        stem = Path(name).stem
        sources = {*CSRC.glob(f"{stem}.c"), *CSRC.glob(f"{stem}_*.c")}
        files |= sources
        for path in (CSRC / name, *sources):
            todo += re.findall(r'^\s*#\s*include\s+"([\w.]+)"', path.read_text(encoding="utf-8"), re.MULTILINE)
    return files


def linked_c_files(module: str) -> list[Path]:
    """C files that `module` calls itself, through externs of its own or of a declarations-only .pxd that it cimports.

    What it cimports from another native room is linked there.
    """
    files: set[Path] = set()
    for path in declared_with(SRC.joinpath(*module.split(".")).with_suffix(".pyx")):
        for header in re.findall(r'cdef extern from "([\w.]+)"', path.read_text(encoding="utf-8")):
            files |= c_closure(header)
    return sorted(files)


# --- one text, compiled twice -----------------------------------------------------------------------------------------


def native_text(source: Path, natives: set[str]) -> str:
    """The text of `x_py.py` as it is compiled into `x_c`: imports of pure twins lead to their native bodies."""
    text = source.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    package = source.parent.relative_to(SRC).parts
    for node in ast.walk(ast.parse(text, str(source))):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        if any(alias.name.endswith("_py") for alias in node.names):
            raise SystemExit(f"{source}:{node.lineno}: import the names from the twin, not the module itself")
        name = node.module or ""
        target = ".".join([*package[: len(package) - node.level + 1], *name.split(".")])
        native = target.removesuffix("_py") + "_c"
        if target.endswith("_py") and native in natives:
            spelled = "." * node.level + name
            line = lines[node.lineno - 1]
            lines[node.lineno - 1] = line.replace(spelled, spelled.removesuffix("_py") + "_c", 1)
    return "".join(lines)


def write_if_changed(path: Path, text: str) -> None:
    """Leave an equal file alone: its time stamp is what says that there is nothing to compile."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def stage(sources: dict[str, Path]) -> dict[str, Path]:
    """Lay the tree that Cython sees under build/: packages, declarations, .pyx files and the second texts."""
    for path in [*(SRC / PACKAGE).rglob("__init__.py"), *(SRC / PACKAGE).rglob("*.pxd")]:
        # Declarations are needed, the packages' Python is not.
        write_if_changed(STAGE / path.relative_to(SRC), path.read_text(encoding="utf-8") if path.suffix == ".pxd" else "")
    wanted = {STAGE / path.relative_to(SRC) for path in (SRC / PACKAGE).rglob("*.pxd")}
    for stale in set(STAGE.rglob("*.pxd")) - wanted:
        stale.unlink()
    staged = {}
    for module, source in sources.items():
        target = STAGE.joinpath(*module.split(".")).with_suffix(source.suffix)
        other = target.with_suffix(".py" if source.suffix == ".pyx" else ".pyx")
        other.unlink(missing_ok=True)
        is_one_text = source.suffix == ".py"
        text = native_text(source, set(sources)) if is_one_text else source.read_text(encoding="utf-8")
        write_if_changed(target, text)
        staged[module] = target
    return staged


# --- compiling --------------------------------------------------------------------------------------------------------


class build_ext(setuptools_build_ext):  # noqa: N801  (setuptools' own name)
    """Compile csrc/ file by file with its own flags, the rooms from the staged tree; all of them or none."""

    def run(self) -> None:
        """Build, or only clear away what an earlier build left in the source tree."""
        self.parallel = self.parallel or os.cpu_count() or 1
        in_place = bool(self.inplace)
        super().run()
        if in_place:
            remove_stale_extensions({Path(self.get_ext_filename(ext.name)) for ext in self.extensions})

    def build_extensions(self) -> None:
        """Build everything with the compiler that setuptools has just set up."""
        if mode() != "yes":
            problem = self.compiler_problem()
            if problem:
                print(f"picocorn: {problem}: installing the pure-Python bodies, which serve the same, slower", file=sys.stderr)
                self.become_pure()
                return
        self.translate()
        for ext in self.extensions:
            ext.extra_objects = [str(self.c_object(path)) for path in linked_c_files(ext.name)]
        try:
            super().build_extensions()
        except Exception:
            for ext in self.extensions:
                Path(self.get_ext_fullpath(ext.name)).unlink(missing_ok=True)
            raise

    def compiler_problem(self) -> str:
        """One phrase saying why nothing can be compiled here; empty when a module with Python.h compiles and links."""
        probe = Path(self.build_temp) / "probe.c"
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.write_text("#include <Python.h>\nint main(void) { return PY_MAJOR_VERSION - 3; }\n", encoding="utf-8")
        includes = [sysconfig.get_path("include"), sysconfig.get_path("platinclude")]
        if not any((Path(folder) / "Python.h").exists() for folder in includes):
            return f"no Python.h for {sys.executable} (on Debian: apt-get install python3-dev)"
        try:
            objects = self.compiler.compile([str(probe)], output_dir="", include_dirs=includes)
            self.compiler.link_shared_object(objects, str(probe.with_suffix(".so")))
        except Exception as error:  # every compiler class has errors of its own
            return f"no C compiler works ({error})"
        return ""

    def become_pure(self) -> None:
        """Forget the extensions and what an earlier build made of them, so that what follows installs a pure package."""
        for ext in self.extensions:
            Path(self.get_ext_fullpath(ext.name)).unlink(missing_ok=True)
        self.extensions = []
        self.distribution.ext_modules = []
        wheel = self.distribution.get_command_obj("bdist_wheel", create=False)
        if wheel is not None:
            wheel.root_is_pure = True

    def translate(self) -> None:
        """Cython to C, for what has changed."""
        from Cython.Build import cythonize
        from Cython.Compiler.Errors import CompileError

        staged = stage(native_sources())
        for directives, suffix in ((PYX_DIRECTIVES, ".pyx"), (ONE_TEXT_DIRECTIVES, ".py")):
            extensions = [ext for ext in self.extensions if staged[ext.name].suffix == suffix]
            for ext in extensions:
                ext.sources = [str(staged[ext.name])]
            force = bool(self.force) or any(older_than_this_file(ext.sources[0]) for ext in extensions)
            try:
                done = cythonize(extensions, include_path=[str(STAGE)], compiler_directives=directives, force=force)
            except CompileError as error:  # Cython has printed what is wrong
                raise SystemExit(f"picocorn: {error.args[1]} does not translate to C") from error
            c_files = {new.name: new.sources for new in done}
            for ext in extensions:
                ext.sources = c_files[ext.name]

    def c_object(self, source: Path) -> Path:
        """The object file of one C source, compiled with the flags that its name asks for if it is out of date."""
        flags = [flag for ending, flags in SIMD_FLAGS.items() if source.stem.endswith(ending) for flag in flags]
        target = Path(self.build_temp) / source.with_suffix(".o")
        newest = max(path.stat().st_mtime for path in (*CSRC.glob("*.[ch]"), Path(__file__)))
        if self.force or not target.exists() or target.stat().st_mtime < newest:
            self.compiler.compile(
                [str(source)],
                output_dir=self.build_temp,
                include_dirs=[str(CSRC)],
                extra_postargs=[*C_FLAGS, *flags],
            )
        return target


class editable_wheel(setuptools_editable_wheel):  # noqa: N801  (setuptools' own name)
    """An editable install runs in the source tree, so one without extensions must not find those of an earlier build."""

    def run(self) -> None:
        """Clear them away, then install."""
        if mode() == "no":
            remove_stale_extensions(set())
        super().run()


def older_than_this_file(source: str) -> bool:
    """Whether the C translation of `source` was made with an earlier state of the directives above."""
    translation = Path(source).with_suffix(".c")
    return translation.exists() and translation.stat().st_mtime < Path(__file__).stat().st_mtime


def remove_stale_extensions(kept: set[Path]) -> None:
    """Drop this interpreter's extensions from the source tree, but those `kept` (paths below src/)."""
    for path in (SRC / PACKAGE).rglob("*" + sysconfig.get_config_var("EXT_SUFFIX")):
        if path.relative_to(SRC) not in kept:
            path.unlink()


def extensions() -> list[Extension]:
    """Every native room as setuptools wants it declared; `build_ext.translate` puts the C files in place."""
    if mode() == "no":
        return []
    depends = [str(path) for path in (Path("setup.py"), *sorted(CSRC.glob("*.[ch]")))]
    found = []
    for module, source in native_sources().items():
        flags = library_flags(SRC.joinpath(*module.split(".")).with_suffix(".pxd")) or []
        found.append(
            Extension(
                module,
                [str(source)],
                include_dirs=[str(CSRC)],
                extra_compile_args=GENERATED_FLAGS + [flag for flag in flags if not flag.startswith(("-l", "-L", "-Wl"))],
                extra_link_args=[flag for flag in flags if flag.startswith(("-l", "-L", "-Wl"))],
                depends=depends,
            )
        )
    return found


if __name__ == "__main__":
    os.chdir(ROOT)
    setup(ext_modules=extensions(), cmdclass={"build_ext": build_ext, "editable_wheel": editable_wheel})
