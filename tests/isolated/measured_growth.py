"""What a round of work leaves behind, for the scripts beside it: memory blocks and objects. Run by itself it measures itself."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable

ROUNDS = 200
#: Dictionaries that grow and free lists that fill cost some hundred blocks once, however many rounds there are; what leaks costs
#: its 200 in each batch of rounds. So the smallest growth of several batches tells.
BATCHES = 3
ALLOWED = ROUNDS // 4


async def assert_nothing_grows(name: str, one_round: Callable[[], Awaitable[None]]) -> None:
    """Fail if each of three batches of `one_round` leaves blocks or objects behind. To be called once caches are warm."""
    grown = []
    for _ in range(BATCHES):
        gc.collect()
        blocks, objects = sys.getallocatedblocks(), len(gc.get_objects())
        for _ in range(ROUNDS):
            await one_round()
        gc.collect()
        grown.append((sys.getallocatedblocks() - blocks, len(gc.get_objects()) - objects))
    least = [min(growth) for growth in zip(*grown, strict=True)]
    assert max(least) < ALLOWED, f"{name}: batches of {ROUNDS} rounds left (blocks, objects) {grown}"


async def check_itself() -> None:
    kept: list[object] = []

    async def nothing() -> None:
        pass

    async def leak() -> None:
        kept.append([None])

    await assert_nothing_grows("nothing", nothing)
    try:
        await assert_nothing_grows("a list a round", leak)
    except AssertionError:
        return
    raise AssertionError("a list that is kept in each round was not seen")


if __name__ == "__main__":
    asyncio.run(check_itself())
