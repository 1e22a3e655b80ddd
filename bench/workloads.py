"""What the servers are asked to do: the rows of the results. Data, and the bytes of a request; knows no server."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from peers import ACCESS_LOG, DEFAULT, DEFLATE, HTTP2, HTTP2_TLS, HTTPS, QUIET, TWO_WORKERS, WEBSOCKET

HELLO = b"Hello, World!"
KIB = 1024


def pattern(length: int) -> bytes:
    """Content of `length` bytes in which every byte value occurs; the applications make it in the same way."""
    return (bytes(range(256)) * (length // 256 + 1))[:length]


#: what a browser of today sends for a page
BROWSER_FIELDS = (
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"),
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Accept-Language", "en-US,en;q=0.9,de;q=0.8"),
    ("Cache-Control", "max-age=0"),
    ("Cookie", "session=0123456789abcdef0123456789abcdef; theme=dark; consent=1"),
    ("Sec-Ch-Ua", '"Chromium";v="130", "Google Chrome";v="130", "Not?A_Brand";v="99"'),
    ("Sec-Fetch-Dest", "document"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Upgrade-Insecure-Requests", "1"),
)


@dataclass(frozen=True)
class Request:
    """One request. Host is a field of its own beside `fields`."""

    method: str = "GET"
    path: str = "/"
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    #: so many requests are sent at once, then so many answers awaited
    pipeline: int = 1
    #: the connection ends with the answer
    closes: bool = False

    def wire(self) -> bytes:
        """The request as bytes."""
        fields = [("Host", "127.0.0.1"), *self.fields]
        fields += [("Content-Length", str(len(self.body)))] if self.body else []
        fields += [("Connection", "close")] if self.closes else []
        head = "".join(f"{name}: {value}\r\n" for name, value in fields)
        return f"{self.method} {self.path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + self.body


@dataclass(frozen=True)
class Workload:
    """A row: an application, a request, the content of the right answer, and how hard and of which servers it is asked."""

    name: str
    title: str
    app: str
    content: bytes = HELLO
    request: Request = field(default_factory=Request)
    connections: int = 64
    #: how the server is started: one of the keys of Peer.commands
    way: str = QUIET
    #: also on the oldest Python
    oldest: bool = False
    #: also answered by the C floor
    floor: bool = False
    #: belongs to the five-minute selection
    quick: bool = False


def _post(length: int, quick: bool = False) -> Workload:
    body = pattern(length * KIB)
    request = Request("POST", fields=(("Content-Type", "application/octet-stream"),), body=body)
    return Workload(f"post-{length}k", f"POST echo, {length} KiB", "raw:app", body, request, quick=quick)


def _body(length: int, framed: bool) -> Workload:
    name, marked = ("", "with") if framed else ("-unframed", "without")
    app = f"plain:{'one' if length == 1 else 'ten'}_kib{'' if framed else '_unframed'}"
    return Workload(f"body-{length}k{name}", f"{length} KiB body, {marked} Content-Length", app, pattern(length * KIB))


#: Not in the order in which pydantic writes them out, and with a default left out: the model works both ways.
ORDER = (
    b'{"price": 12.5, "name": "teapot", "tags": ["kitchen", "short", "stout"], "owner": {"id": 418, "email": "tea@pot.example"}}'
)
ORDERED = (
    b'{"name":"teapot","price":12.5,"quantity":1,"tags":["kitchen","short","stout"],"owner":{"id":418,"email":"tea@pot.example"}}'
)
MESSAGE = b'{"message":"Hello, World!"}'
JSON = (("Content-Type", "application/json"), ("Accept", "application/json"))

WORKLOADS = (
    Workload("raw", "raw ASGI, `GET /`", "raw:app", oldest=True, floor=True, quick=True),
    Workload("default", "raw ASGI, default settings", "raw:app", way=DEFAULT, quick=True),
    Workload("access-log", "raw ASGI, access log to a file", "raw:app", way=ACCESS_LOG),
    Workload("browser", "12 browser headers", "raw:app", request=Request(fields=BROWSER_FIELDS)),
    _body(1, True),
    _body(1, False),
    _body(10, True),
    _body(10, False),
    _post(1),
    _post(10, quick=True),
    _post(100),
    Workload("file", "50 KiB file", "plain:file", pattern(50 * KIB)),
    Workload("stream", "8 x 16 KiB streamed", "plain:stream", pattern(16 * KIB) * 8),
    Workload("mebibyte", "1 MiB body, 16 connections", "plain:one_mib", pattern(KIB * KIB), connections=16),
    Workload("sleep-64", "awaits `sleep(0.001)`, 64 connections", "plain:sleeps"),
    Workload("sleep-512", "awaits `sleep(0.001)`, 512 connections", "plain:sleeps", connections=512),
    Workload("pipeline", "16 pipelined requests", "raw:app", request=Request(pipeline=16)),
    Workload("close", "a connection per request", "raw:app", request=Request(closes=True)),
    Workload("starlette", "Starlette JSON", "starlette_json:app", MESSAGE, oldest=True, quick=True),
    Workload("fastapi", "FastAPI JSON", "fastapi_json:app", MESSAGE, oldest=True, quick=True),
    Workload("fastapi-model", "FastAPI, model in and out", "fastapi_model:app", ORDERED, Request("POST", "/", JSON, ORDER)),
    Workload("django", "Django JSON", "django_json:app", MESSAGE, quick=True),
    Workload("middleware", "Starlette BaseHTTPMiddleware", "starlette_middleware:app", MESSAGE),
    Workload("two-workers", "two workers on both cores, beside wrk", "raw:app", way=TWO_WORKERS),
)

#: modes of the WebSocket load generator, which says what they are
ECHO = "echo"
BROADCAST = "broadcast"
CHURN = "churn"

#: what is counted in each, one and many
UNITS = {ECHO: ("message", "messages"), BROADCAST: ("delivery", "deliveries"), CHURN: ("connection", "connections")}


def text(length: int) -> bytes:
    """JSON as applications send it, of `length` ASCII characters."""
    records = [
        {"id": number, "name": f"item {number * 7919 % 1000}", "price": number * 31 % 997 / 8, "tags": ["a", f"b{number % 7}"]}
        for number in range(1000, 1001 + length // 60)
    ]
    return json.dumps(records).encode()[:length]


@dataclass(frozen=True)
class WebSocketWorkload:
    """A row of WebSockets: what is sent, and what the load generator does with it."""

    name: str
    title: str
    message: bytes
    #: so many messages of one length `message` is, of which each socket sends one after the other
    pieces: int = 1
    app: str = "websocket:echo"
    is_text: bool = True
    mode: str = ECHO
    sockets: int = 32
    #: so many messages of a socket are on their way at a time
    depth: int = 1
    deflate: bool = False
    #: as of Workload
    way: str = WEBSOCKET
    oldest: bool = False
    floor: bool = False
    quick: bool = False

    @property
    def first_message(self) -> bytes:
        return self.message[: len(self.message) // self.pieces]


WEBSOCKET_WORKLOADS = (
    WebSocketWorkload("ws-echo-64", "WebSocket echo, 64 bytes of text", text(64), floor=True, quick=True),
    WebSocketWorkload("ws-echo-1k", "WebSocket echo, 1 KiB of text", text(KIB), floor=True),
    WebSocketWorkload("ws-echo-16k", "WebSocket echo, 16 KiB binary", pattern(16 * KIB), is_text=False, floor=True),
    WebSocketWorkload(
        "ws-echo-1m", "WebSocket echo, 1 MiB binary, 8 sockets", pattern(KIB * KIB), is_text=False, sockets=8, floor=True
    ),
    WebSocketWorkload("ws-pipeline", "WebSocket echo, 64 bytes of text, 16 on their way", text(64), depth=16, floor=True),
    WebSocketWorkload(
        "ws-broadcast",
        "WebSocket broadcast, 64 bytes of text to 1,000 sockets",
        text(64),
        app="websocket:broadcast",
        mode=BROADCAST,
        sockets=1001,
        depth=2,
    ),
    WebSocketWorkload("ws-churn", "WebSocket connect, echo, close", text(64), mode=CHURN, floor=True),
    # 64 messages, so that none is found whole in the window, which holds 32 of them at most.
    WebSocketWorkload(
        "ws-deflate", "WebSocket echo, 1 KiB of text, permessage-deflate", text(64 * KIB), 64, deflate=True, way=DEFLATE
    ),
)


@dataclass(frozen=True)
class HTTP2Workload:
    """A row of HTTP/2: as Workload, on `connections` that each have `streams` requests on their way at a time."""

    name: str
    title: str
    app: str = "raw:app"
    content: bytes = HELLO
    request: Request = field(default_factory=Request)
    connections: int = 8
    streams: int = 32
    #: as of Workload: HTTP2 or HTTP2_TLS
    way: str = HTTP2
    oldest: bool = False
    floor: bool = False
    quick: bool = False

    @property
    def is_secure(self) -> bool:
        return self.way == HTTP2_TLS


@dataclass(frozen=True)
class TLSWorkload:
    """A row of HTTP/1.1 over TLS: `request` on connections that are kept, or each on one of its own."""

    name: str
    title: str
    app: str = "raw:app"
    content: bytes = HELLO
    request: Request = field(default_factory=Request)
    connections: int = 64
    #: as of Workload
    way: str = HTTPS
    oldest: bool = False
    floor: bool = False
    quick: bool = False


def _upload(length: int) -> Request:
    return Request("POST", fields=(("Content-Type", "application/octet-stream"),), body=pattern(length))


_MEBIBYTE = pattern(KIB * KIB)
HTTP2_WORKLOADS = (
    HTTP2Workload("h2-raw", "HTTP/2, raw ASGI, `GET /`, 8 x 32 streams"),
    HTTP2Workload("h2-fastapi", "HTTP/2, FastAPI JSON, 8 x 32 streams", "fastapi_json:app", MESSAGE),
    HTTP2Workload(
        "h2-post-100k",
        "HTTP/2, POST echo, 100 KiB, 8 x 4 streams",
        content=pattern(100 * KIB),
        request=_upload(100 * KIB),
        streams=4,
    ),
    HTTP2Workload(
        "h2-upload", "HTTP/2, upload of 1 MiB, 8 x 2 streams", "plain:upload", b"1048576", _upload(KIB * KIB), streams=2
    ),
    HTTP2Workload("h2-mebibyte", "HTTP/2, 1 MiB body, 8 x 2 streams", "plain:one_mib", _MEBIBYTE, streams=2),
    HTTP2Workload("h2-tls-raw", "HTTP/2 over TLS, raw ASGI, `GET /`, 8 x 32 streams", way=HTTP2_TLS),
    HTTP2Workload(
        "h2-tls-mebibyte",
        "HTTP/2 over TLS, 1 MiB body, 8 x 2 streams",
        "plain:one_mib",
        _MEBIBYTE,
        streams=2,
        way=HTTP2_TLS,
    ),
)
TLS_WORKLOADS = (
    TLSWorkload("tls-raw", "HTTPS, HTTP/1.1, raw ASGI, `GET /`"),
    TLSWorkload("tls-mebibyte", "HTTPS, HTTP/1.1, 1 MiB body, 16 connections", "plain:one_mib", _MEBIBYTE, connections=16),
    TLSWorkload("tls-handshakes", "HTTPS, HTTP/1.1, a handshake per request", request=Request(closes=True), connections=32),
)

AnyWorkload = Workload | WebSocketWorkload | HTTP2Workload | TLSWorkload

BY_NAME: dict[str, AnyWorkload] = {
    workload.name: workload for workload in (*WORKLOADS, *WEBSOCKET_WORKLOADS, *HTTP2_WORKLOADS, *TLS_WORKLOADS)
}

#: measured by other means than load
IDLE = "idle"
STARTUP = "start-up"
WEBSOCKET_IDLE = "ws-idle"
SPECIAL_TITLES = {IDLE: "idle connections", STARTUP: "start-up", WEBSOCKET_IDLE: "idle WebSockets"}

#: rows of WebSockets, and of HTTP/2 and TLS, which have tables of their own
WEBSOCKET_NAMES = (*(workload.name for workload in WEBSOCKET_WORKLOADS), WEBSOCKET_IDLE)
HTTP2_NAMES = tuple(workload.name for workload in (*HTTP2_WORKLOADS, *TLS_WORKLOADS))
NAMES = (*(workload.name for workload in WORKLOADS), IDLE, STARTUP, *WEBSOCKET_NAMES, *HTTP2_NAMES)

#: row -> what has been counted in it, one and many, where that is not requests
UNITS_OF_ROWS = {
    **{workload.name: UNITS[workload.mode] for workload in WEBSOCKET_WORKLOADS},
    **{workload.name: UNITS[CHURN] for workload in TLS_WORKLOADS if workload.request.closes},
}
