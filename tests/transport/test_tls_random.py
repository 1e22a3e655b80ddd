"""TLS while reader, writer and client do what they like: nothing is lost, nothing comes twice, and all of it is bounded."""

from __future__ import annotations

import contextlib
import random
import ssl
from collections.abc import Callable
from types import ModuleType
from typing import Any

from certificates import client_context, server_context

from .tls_conversation import HIGH_BYTES, Conversation

ACTIONS = ("say", "say", "carry", "carry", "write", "writelines", "take", "take", "pause", "resume", "turn")
SERVER, CLIENT = server_context(), client_context()


class Talk(Conversation):
    """One whose bytes are on their way until the test carries them on, in pieces of any size."""

    def __init__(self, connection_class: Any, seed: int) -> None:
        super().__init__(connection_class, CLIENT, SERVER)
        self.shake_hands()
        self.random = random.Random(seed)
        self.transport = self.upper.transport
        self.on_the_way = b""
        self.said, self.written, self.heard = b"", b"", b""

    def some(self, most: int) -> bytes:
        return self.random.randbytes(self.random.randint(1, most))

    def act(self, action: str) -> None:
        if action == "say":
            data = self.some(40_000)
            self.said += data
            self.client.write(data)
            self.on_the_way += self._out.read()
        elif action == "carry" and self.lower.is_reading and self.on_the_way:
            size = self.random.choice((1, 100, 5_000, 70_000))
            piece, self.on_the_way = self.on_the_way[:size], self.on_the_way[size:]
            self.connection.data_received(piece)
        elif action in ("write", "writelines") and self.upper.calls[-1] != "pause":
            pieces = [self.some(400_000) for _ in range(self.random.randint(1, 3))]
            self.written += b"".join(pieces)
            if action == "write":
                for piece in pieces:
                    self.transport.write(piece)
            else:
                self.transport.writelines(pieces)
        elif action == "take":
            self.hear_some(self.random.choice((1, 1_000, 60_000, -1)))
        elif action == "pause":
            self.transport.pause_reading()
        elif action == "resume":
            self.transport.resume_reading()
        elif action == "turn":
            self.loop.turn()

    def hear_some(self, size: int) -> None:
        self._in.write(self.lower.take(size))
        with contextlib.suppress(ssl.SSLWantReadError):
            while data := self.client.read(65536):
                self.heard += data


def test_whatever_happens_all_of_it_arrives(room: Callable[[str], ModuleType]) -> None:
    for seed in range(25):
        talk = Talk(room("transport.tls").TLSConnection, seed)
        for _ in range(60):
            talk.act(talk.random.choice(ACTIONS))
            assert talk.said.startswith(talk.upper.received), seed
            assert talk.written.startswith(talk.heard), seed
            # Encrypted is what goes out next, and no more.
            assert len(talk.lower.written) < HIGH_BYTES + 3 * 300_000, seed
        # Now everybody does his part, and the server ends it.
        talk.transport.resume_reading()
        talk.loop.turn()
        while talk.on_the_way:
            assert talk.lower.is_reading or talk.lower.written, seed
            talk.act("carry")
            talk.hear_some(-1)
        talk.transport.close()
        while talk.lower.written:
            talk.hear_some(-1)
        assert talk.upper.received == talk.said, seed
        assert talk.heard == talk.written, seed
        assert talk.lower.calls == ["close"], seed
        talk.lose()
        assert talk.upper.calls[-1] == "lost"
