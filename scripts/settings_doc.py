"""Writes docs/settings.md from the declarations of the options. Knows nothing that is not in them.

python scripts/settings_doc.py            writes the file
python scripts/settings_doc.py --check    fails if it is not current
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

from picocorn.server.options import GROUPS, Option, declared, flag_of

DOCUMENT = Path(__file__).parent.parent / "docs" / "settings.md"

TOP = """# Settings

<!-- Written by scripts/settings_doc.py from src/picocorn/server/options*.py: change the declarations, then run it. -->

Each setting has four names, and stands in one place in the source:

- on the command line: `picocorn main:app --timeout-keep-alive 5`
- in the environment: `PICOCORN_TIMEOUT_KEEP_ALIVE=5`. Where that is not set, `UVICORN_TIMEOUT_KEEP_ALIVE` is read, so a
  deployment of uvicorn keeps its settings. The command line beats both. Switches take `true` or `false`; several headers
  stand in `PICOCORN_HEADERS` with spaces between them, several addresses in `PICOCORN_BIND`. These variables are for the
  command alone, not for `run()`.
- in a [configuration file](configuration.md): `timeout-keep-alive = 5`, as on the command line, without the dashes before it.
  Command line and environment beat it.
- in Python: `picocorn.run("main:app", timeout_keep_alive=5)`, and the same for `picocorn.Config`

Times are seconds, fractions allowed. Sizes are bytes, or end in `k`, `m` or `g` (1k is 1024). A wrong value is one line on
standard error and exit code 2 on the command line, and a `ConfigError` in Python.

Three more variables are read: `WEB_CONCURRENCY` (see `--workers`) and `FORWARDED_ALLOW_IPS` (see `--forwarded-allow-ips`), both
also from `--env-file` and stronger than a configuration file, and `PICOCORN_NO_EXTENSIONS=1`, which leaves the compiled
extensions unused.
"""

API = """
## In Python alone

`app` may be the application itself. `host=None` binds to all interfaces. `log_config` may also be a dict, a
`RawConfigParser`, an open file, or None to leave `logging` as it is; `log_level` may be a number; `http` and `ws` may be
protocol classes; `headers` is a list of (name, value) pairs of str; `bind` is a list of str, or one str with spaces.
"""


def value_of(details: Option) -> str:
    """What the option takes, for the table."""
    if details.choices:
        choices = " ".join(f"`{choice}`" for choice in details.choices)
        return f"{choices}, or `module:attribute`" if details.importable else choices
    kinds = {
        "integer": "number",
        "octal": "octal number",
        "seconds": "seconds",
        "size": "size",
        "boolean": "`true` `false`",
        "file": "file",
        "list": details.metavar.lower(),
    }
    return kinds.get(details.kind, details.metavar.lower() or "text") if details.kind not in ("switch", "flag") else ""


def default_of(field: dataclasses.Field[object], details: Option) -> str:
    """The default, for the table."""
    if details.shown_default:
        return details.shown_default
    if details.kind in ("switch", "flag"):
        return "on" if field.default else "off"
    if details.kind == "boolean":
        return f"`{str(field.default).lower()}`"
    if field.default in (None, "", dataclasses.MISSING):
        return ""
    return f"`{field.default}`"


def row(name: str, field: dataclasses.Field[object], details: Option) -> str:
    """One line of a table."""
    flag = flag_of(name, details)
    shown = f"`{flag}` / `--no-{flag[2:]}`" if details.kind == "switch" else f"`{flag}`"
    parameter = "" if flag[2:].replace("-", "_") == name else f" (`{name}` in Python and the environment)"
    cells = [shown, value_of(details), default_of(field, details), details.help + parameter]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def document() -> str:
    """The whole file."""
    parts = [TOP.rstrip()]
    options = declared()
    for group in GROUPS:
        parts.append(f"\n## {group}\n\n| option | takes | default | meaning |\n|---|---|---|---|")
        parts.extend(row(name, *option) for name, option in options.items() if option[1].group == group and name != "app")
    parts.append(API)
    parts.append("| parameter | default | meaning |\n|---|---|---|")
    for name, (field, details) in declared(api=True).items():
        if details.api_only:
            parts.append(f"| `{name}` | {default_of(field, details)} | {details.help} |")
    return "\n".join(parts) + "\n"


def main() -> None:
    """Write the file, or with --check compare it."""
    if "--check" not in sys.argv[1:]:
        DOCUMENT.write_text(document(), encoding="utf-8")
    elif DOCUMENT.read_text(encoding="utf-8") != document():
        sys.exit("docs/settings.md is not current: run python scripts/settings_doc.py")


if __name__ == "__main__":
    main()
