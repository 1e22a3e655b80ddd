"""Starts fastpysgi on uvloop, which its command line has no option for: APP PORT [--workers N]."""

from __future__ import annotations

import argparse
import importlib

import fastpysgi
import uvloop


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("app")
    parser.add_argument("port", type=int)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    module, _, attribute = options.app.partition(":")
    app = getattr(importlib.import_module(module), attribute)
    if options.workers == 1:
        # Its workers make a loop each: one that was made before the fork would be shared by them.
        fastpysgi.server.loop = uvloop.new_event_loop()
    fastpysgi.run(app, "127.0.0.1", options.port, workers=options.workers)


if __name__ == "__main__":
    main()
