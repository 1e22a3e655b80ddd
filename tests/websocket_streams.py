"""Makes byte streams that are nearly what a WebSocket client sends, to set the twins against each other. Knows no verdicts.

Everything is drawn from one `random.Random`, so that hypothesis (which can shrink its own), a plain seed and a fuzzer's bytes
can all be the source.
"""

from __future__ import annotations

import zlib
from random import Random

from picocorn.websocket.deflate import DeflateParameters, negotiate
from picocorn.websocket.opcodes import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT
from websocket_corpus import client_frame

__all__ = ["parameters", "pieces", "stream"]

#: What a text is made of: all lengths of characters, and now and then something that is none.
CHARACTERS = [b"a", b" ", b"\0", b"\xc3\xa4", b"\xe2\x82\xac", b"\xed\x9f\xbf", b"\xf0\x9f\x98\x80", b"\xf4\x8f\xbf\xbf"]
NOT_UTF8 = [b"\x80", b"\xc0", b"\xe0\x80", b"\xed\xa0", b"\xed\xa0\x80", b"\xf4\x90", b"\xf5", b"\xff", b"\xe2\x82", b"\xc3"]
SIZES = [0, 0, 1, 2, 3, 5, 10, 31, 32, 33, 60, 125, 126, 127, 300]
CLOSES = [b"", b"\x03", b"\x03\xe8", b"\x03\xe8bye", b"\x0f\xa0\xe2\x82\xac", b"\x03\xec", b"\x03\xe8\xff", b"\x13\x88", b"\0\0"]
OFFERS = [
    b"permessage-deflate",
    b"permessage-deflate; client_no_context_takeover",
    b"permessage-deflate; client_max_window_bits=9",
    b"permessage-deflate; client_max_window_bits; server_no_context_takeover",
]


def parameters(rng: Random) -> tuple[int, DeflateParameters | None]:
    """A limit for messages (0: none) and what was negotiated."""
    limit = rng.choice([0, 0, 1 << 24, 1 << 24, 1000, 100, 10])
    return limit, negotiate([rng.choice(OFFERS)]) if rng.random() < 0.5 else None


def pieces(rng: Random, data: bytes) -> list[bytes]:
    """`data` cut anyhow."""
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice([0, 1, 2, 5, 20])))
    return [data[one:other] for one, other in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def stream(rng: Random, deflate: DeflateParameters | None) -> bytes:
    """A few messages with control frames between and inside them; sometimes with something wrong."""
    client = _Client(rng, deflate)
    out = b"".join(client.message() for _ in range(rng.randrange(5)))
    if rng.random() < 0.2:
        out += client.frame(CLOSE, rng.choice(CLOSES)) + bytes(rng.randrange(256) for _ in range(rng.randrange(9)))
    if out and rng.random() < 0.25:
        at = rng.randrange(len(out))
        out = out[:at] + bytes((rng.randrange(256),)) + out[at + rng.randrange(3) :]
    return out


class _Client:
    """One client with its compression context."""

    def __init__(self, rng: Random, deflate: DeflateParameters | None) -> None:
        self.rng = rng
        self.deflate = deflate
        self.context: zlib._Compress | None = None

    def frame(self, opcode: int, payload: bytes, fin: bool = True, rsv: int = 0) -> bytes:
        rng = self.rng
        options: dict[str, int] = {}
        if rng.random() < 0.02:
            options["bits"] = rng.choice([16, 64])
        if rng.random() < 0.01:
            options["length"] = rng.choice([0, 126, 65536, 1 << 40, 1 << 63])
        if rng.random() < 0.02:
            rsv ^= rng.choice([1, 2, 4])
        if rng.random() < 0.02:
            fin = not fin
        mask = None if rng.random() < 0.01 else rng.choice([rng.randbytes(4), b"\0\0\0\0"])
        try:
            return client_frame(opcode, payload, fin=fin, rsv=rsv, mask=mask, **options)  # type: ignore[arg-type]
        except (OverflowError, ValueError):
            return client_frame(opcode, payload, fin=fin, rsv=rsv, mask=mask)

    def control(self) -> bytes:
        rng = self.rng
        return self.frame(rng.choice([PING, PONG]), rng.randbytes(rng.choice([0, 1, 4, 20, 125])))

    def message(self) -> bytes:
        rng = self.rng
        opcode = rng.choice([TEXT, TEXT, BINARY, BINARY, BINARY, 3]) if rng.random() < 0.03 else rng.choice([TEXT, BINARY])
        payload = self._text() if rng.random() < 0.7 else rng.randbytes(rng.choice(SIZES))
        compressed = self.deflate is not None and rng.random() < 0.7
        if compressed:
            payload = self._deflated(payload)
        cuts = sorted(rng.randrange(len(payload) + 1) for _ in range(rng.choice([0, 0, 0, 1, 2, 5])))
        parts = [payload[one:other] for one, other in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
        out = b""
        for number, part in enumerate(parts):
            while rng.random() < 0.2:
                out += self.control()
            first = number == 0
            out += self.frame(
                opcode if first or rng.random() < 0.01 else CONTINUATION,
                part,
                fin=number == len(parts) - 1,
                rsv=4 if first and compressed else 0,
            )
        return out

    def _text(self) -> bytes:
        rng = self.rng
        alphabet = rng.choice([CHARACTERS[:3], CHARACTERS])
        text = b"".join(rng.choice(alphabet) for _ in range(rng.choice(SIZES)))
        if rng.random() < 0.1:
            at = rng.randrange(len(text) + 1)
            text = text[:at] + rng.choice(NOT_UTF8) + text[at:]
        return text

    def _deflated(self, payload: bytes) -> bytes:
        rng = self.rng
        assert self.deflate is not None
        if self.context is None or self.deflate.client_no_context_takeover:
            bits = max(9, self.deflate.client_max_window_bits)
            self.context = zlib.compressobj(rng.choice([0, 1, 6]), zlib.DEFLATED, -bits, rng.choice([1, 5, 9]))
        kind = rng.random()
        if kind < 0.05:
            # A bomb, of the size that the limits of these streams can tell.
            payload = b"\0" * rng.choice([2000, 70000])
        if kind < 0.15:
            data = self.context.compress(payload) + self.context.flush(zlib.Z_FINISH)
            self.context = None
            return data + rng.choice([b"", b"\0", b"\x03\0", data])
        data = self.context.compress(payload) + self.context.flush(zlib.Z_SYNC_FLUSH)
        if kind < 0.20:
            at = rng.randrange(len(data) + 1)
            return data[:at] + rng.randbytes(1) + data[at + 1 :]
        return data[:-4]
