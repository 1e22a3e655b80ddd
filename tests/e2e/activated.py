"""Runs picocorn as systemd does when a socket activates it: python activated.py FD[=NAME],... ARGUMENTS-OF-PICOCORN

The descriptors become 3, 4 and so on, which takes an exec: the variables name the very process that is to have them.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    names = []
    # High up first: one of them may be where another one is to be.
    passed = []
    for number, item in enumerate(sys.argv[1].split(",")):
        descriptor, _, name = item.partition("=")
        names.append(name or "unknown")
        os.dup2(int(descriptor), 100 + number)
        passed.append(100 + number)
    for number, descriptor in enumerate(passed):
        os.dup2(descriptor, 3 + number)
        os.close(descriptor)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(passed)), LISTEN_FDNAMES=":".join(names))
    os.execv(sys.executable, [sys.executable, "-m", "picocorn", *sys.argv[2:]])


main()
