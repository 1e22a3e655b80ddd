"""`python -m picocorn`: the same as the `picocorn` command."""

from __future__ import annotations

from .cli.main import main

if __name__ == "__main__":
    main(prog_name="python -m picocorn")
