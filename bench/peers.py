"""The servers that are compared: what pip installs for each, and the command line for each way of starting it.

Data only. Every server gets one worker on one thread, uvloop where it can run on it, and its own defaults otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field

#: one worker, access log off: what every row is measured with unless it says otherwise
QUIET = "quiet"
#: as quiet, with one line for each request written to a file
ACCESS_LOG = "access log"
#: no option but the port, and the protocol where the server must be told
DEFAULT = "default settings"
#: two worker processes
TWO_WORKERS = "two workers"
#: as quiet, with connections that may be many and stay idle for long
IDLE = "idle"
#: as quiet, with WebSocket and room for as many connections as when idle; whoever offers no permessage-deflate gets none
WEBSOCKET = "WebSocket"
#: the same, and permessage-deflate for whoever offers it
DEFLATE = "permessage-deflate"

#: as quiet, in HTTP/2 and cleartext, to clients that know it beforehand
HTTP2 = "HTTP/2"
#: as quiet, in HTTP/2 over TLS
HTTP2_TLS = "HTTP/2 over TLS"
#: as quiet, in HTTP/1.1 over TLS
HTTPS = "HTTPS"

NEWEST = "newest"
OLDEST = "3.11"

#: the server that all ratios are made to
BASELINE = "uvicorn"
#: the row of the raw workload that no server written in Python can pass
FLOOR = "C floor"


@dataclass(frozen=True)
class Peer:
    """One server. In `commands` {bin}, {python}, {bench}, {app}, {port}, {certificate} and {key} are filled in."""

    name: str
    #: what pip is asked for, with spaces between; None for picocorn, which comes from this checkout
    requirement: str | None
    #: distribution, for its version
    package: str
    #: what `import` is timed of
    module: str
    commands: dict[str, str]
    #: way of starting -> why there is no command, or what to know about the figures
    notes: dict[str, str] = field(default_factory=dict)
    version_command: str = ""
    python: str = NEWEST
    baseline: str = BASELINE
    #: takes part in this many rounds at most; None for all
    rounds: int | None = None
    #: may be stopped while others are measured
    holds_still: bool = True

    @property
    def ours(self) -> bool:
        """Whether it is picocorn in one form or another: not a peer to be better than."""
        return self.package == "picocorn"

    @property
    def only_websocket(self) -> bool:
        """Whether it is another server's command line once more, which differs for WebSocket alone."""
        return WEBSOCKET in self.commands and QUIET not in self.commands

    @property
    def speaks_websocket(self) -> bool:
        """Whether it belongs in rows of WebSockets, be it with the reason why it cannot be measured there."""
        return WEBSOCKET in self.commands or WEBSOCKET in self.notes

    @property
    def speaks_http2(self) -> bool:
        """The same for rows of HTTP/2 and TLS."""
        return not {HTTP2, HTTP2_TLS, HTTPS}.isdisjoint({*self.commands, *self.notes})

    @property
    def is_rival(self) -> bool:
        """Whether it counts when the best peer is looked for."""
        return not self.ours and self.python == NEWEST and self.name != FLOOR


_UVICORN_TLS = "--ssl-certfile {certificate} --ssl-keyfile {key}"


def _uvicorn_like(script: str, quiet: str = "") -> dict[str, str]:
    """Ways of starting what takes uvicorn's options."""
    start = f"{{bin}}/{script} {{app}} --port {{port}}"
    silent = f"{start} --log-level warning --no-access-log {quiet}".strip()
    return {
        QUIET: silent,
        ACCESS_LOG: f"{start} {quiet}".strip(),
        DEFAULT: start,
        TWO_WORKERS: f"{silent} --workers 2",
        IDLE: f"{silent} --timeout-keep-alive 300",
        WEBSOCKET: silent,
        DEFLATE: silent,
        HTTPS: f"{silent} {_UVICORN_TLS}",
    }


def _only(commands: dict[str, str], *ways: str) -> dict[str, str]:
    return {way: commands[way] for way in ways}


def _without(commands: dict[str, str], *ways: str) -> dict[str, str]:
    return {way: command for way, command in commands.items() if way not in ways}


def _http2_of_picocorn(quiet: str = "") -> dict[str, str]:
    """HTTP/2 has no option of its own: it is there in cleartext, and over TLS."""
    ways = _uvicorn_like("picocorn", quiet)
    return {HTTP2: ways[QUIET], HTTP2_TLS: ways[HTTPS]}


_UVLOOP = "--loop uvloop"
_UVICORN_HTTP2 = _uvicorn_like("uvicorn", f"{_UVLOOP} --http zttp --http2")[QUIET]
_GRANIAN_WS = "{bin}/granian --interface asgi --port {port} --http 1 --loop uvloop --runtime-mode st --runtime-threads 1"
_GRANIAN = f"{_GRANIAN_WS} --no-ws"
_GRANIAN_HTTP2 = _GRANIAN.replace("--http 1", "--http 2")
_GRANIAN_ROOM = "--log-level warning --backlog 16384 --backpressure 16384 {app}"
_GUNICORN = "{bin}/gunicorn {app} -k asgi -b 127.0.0.1:{port} --asgi-loop uvloop --http-parser auto --log-level warning"
_HYPERCORN = "{bin}/hypercorn {app} -k uvloop -b 127.0.0.1:{port} --log-level warning"
_PEREGRINE = "{bin}/peregrine {app} --protocol asgi --port {port} --log-level warning"
_WEFT = "{bin}/weft {app} --protocol asgi --port {port} --log-level warning"
_H2CORN = "{bin}/h2corn {app} --port {port} --loop uvloop --runtime-threads 1"
_FASTPYSGI = "{python} {bench}/fastpysgi_run.py {app} {port}"
_NO_LOG_BY_DEFAULT = "no access log by default"
_NO_WEBSOCKET = "has no WebSocket"
_NO_DEFLATE = "has no permessage-deflate"
_CERTFILE = "--certfile {certificate} --keyfile {key}"
_TLS_CERT = "--tls-cert {certificate} --tls-key {key}"
_GRANIAN_TLS = "--ssl-certificate {certificate} --ssl-keyfile {key}"

PEERS = (
    Peer(
        "picocorn",
        None,
        "picocorn",
        "picocorn",
        {**_uvicorn_like("picocorn"), **_http2_of_picocorn()},
        version_command="{bin}/picocorn --version",
    ),
    Peer(
        "picocorn (pure)",
        None,
        "picocorn",
        "picocorn",
        {
            **_without(_uvicorn_like("picocorn", "--http pure --ws pure"), DEFAULT),
            **_http2_of_picocorn("--http pure"),
        },
        notes={DEFAULT: "as picocorn: the default is native"},
        rounds=2,
    ),
    Peer(
        BASELINE,
        "uvicorn[standard]",
        "uvicorn",
        "uvicorn",
        {
            **_uvicorn_like("uvicorn", f"{_UVLOOP} --http httptools"),
            **_only(_uvicorn_like("uvicorn", f"{_UVLOOP} --http httptools --ws websockets-sansio"), WEBSOCKET, DEFLATE),
            HTTP2: _UVICORN_HTTP2,
            HTTP2_TLS: f"{_UVICORN_HTTP2} {_UVICORN_TLS}",
        },
        version_command="{bin}/uvicorn --version",
    ),
    Peer(
        "uvicorn (wsproto)",
        "uvicorn[standard] wsproto",
        "uvicorn",
        "uvicorn",
        _only(_uvicorn_like("uvicorn", f"{_UVLOOP} --http httptools --ws wsproto"), WEBSOCKET, DEFLATE),
        rounds=2,
    ),
    Peer(
        "uvicorn (h11)",
        "uvicorn[standard]",
        "uvicorn",
        "uvicorn",
        _without(_uvicorn_like("uvicorn", f"{_UVLOOP} --http h11"), DEFAULT, WEBSOCKET, DEFLATE, HTTPS),
        notes={DEFAULT: "as uvicorn: the default is httptools"},
        rounds=2,
    ),
    Peer(
        "granian",
        "granian",
        "granian",
        "granian",
        {
            QUIET: f"{_GRANIAN} --log-level warning {{app}}",
            ACCESS_LOG: f"{_GRANIAN} --access-log {{app}}",
            DEFAULT: "{bin}/granian --interface asgi --port {port} {app}",
            TWO_WORKERS: f"{_GRANIAN} --log-level warning --workers 2 {{app}}",
            IDLE: f"{_GRANIAN} {_GRANIAN_ROOM}",
            WEBSOCKET: f"{_GRANIAN_WS} --ws {_GRANIAN_ROOM}",
            HTTP2: f"{_GRANIAN_HTTP2} --log-level warning {{app}}",
            HTTP2_TLS: f"{_GRANIAN_HTTP2} {_GRANIAN_TLS} --log-level warning {{app}}",
            HTTPS: f"{_GRANIAN} {_GRANIAN_TLS} --log-level warning {{app}}",
        },
        notes={DEFAULT: _NO_LOG_BY_DEFAULT, DEFLATE: _NO_DEFLATE},
        version_command="{bin}/granian --version",
    ),
    Peer(
        "gunicorn",
        "gunicorn gunicorn_h1c",
        "gunicorn",
        "gunicorn",
        {
            QUIET: _GUNICORN,
            ACCESS_LOG: f"{_GUNICORN} --access-logfile -",
            DEFAULT: "{bin}/gunicorn {app} -k asgi -b 127.0.0.1:{port}",
            TWO_WORKERS: f"{_GUNICORN} --workers 2",
            IDLE: f"{_GUNICORN} --worker-connections 20000 --keep-alive 300",
            WEBSOCKET: f"{_GUNICORN} --worker-connections 20000",
            HTTP2: f"{_GUNICORN} --http-protocols h2,h1 --http2-cleartext prior-knowledge",
            HTTP2_TLS: f"{_GUNICORN} --http-protocols h2,h1 {_CERTFILE}",
            HTTPS: f"{_GUNICORN} {_CERTFILE}",
        },
        notes={DEFAULT: _NO_LOG_BY_DEFAULT, DEFLATE: _NO_DEFLATE},
        version_command="{bin}/gunicorn --version",
        # Its arbiter kills workers that have not been heard of for half a minute.
        holds_still=False,
        rounds=1,
    ),
    Peer(
        "hypercorn",
        "hypercorn",
        "hypercorn",
        "hypercorn",
        {
            QUIET: _HYPERCORN,
            # Its level is that of the access log too.
            ACCESS_LOG: f"{_HYPERCORN} --access-logfile - --log-level info",
            DEFAULT: "{bin}/hypercorn {app} -b 127.0.0.1:{port}",
            TWO_WORKERS: f"{_HYPERCORN} -w 2",
            IDLE: f"{_HYPERCORN} --keep-alive 300",
            WEBSOCKET: _HYPERCORN,
            DEFLATE: _HYPERCORN,
            HTTP2: _HYPERCORN,
            HTTP2_TLS: f"{_HYPERCORN} {_CERTFILE}",
            HTTPS: f"{_HYPERCORN} {_CERTFILE}",
        },
        notes={DEFAULT: _NO_LOG_BY_DEFAULT},
        rounds=1,
    ),
    Peer(
        "peregrine",
        "peregrine-server",
        "peregrine-server",
        "peregrine",
        {
            QUIET: _PEREGRINE,
            ACCESS_LOG: "{bin}/peregrine {app} --protocol asgi --port {port} --access-log",
            DEFAULT: "{bin}/peregrine {app} --port {port}",
            TWO_WORKERS: f"{_PEREGRINE} --workers 2",
            IDLE: f"{_PEREGRINE} --max-connections 20000 --keep-alive 300000",
            WEBSOCKET: f"{_PEREGRINE} --max-connections 20000",
            DEFLATE: f"{_PEREGRINE} --max-connections 20000 --ws-compress",
            HTTP2: _PEREGRINE,
            HTTP2_TLS: f"{_PEREGRINE} {_TLS_CERT}",
            HTTPS: f"{_PEREGRINE} {_TLS_CERT}",
        },
        notes={DEFAULT: _NO_LOG_BY_DEFAULT},
        version_command="{bin}/peregrine --version",
    ),
    Peer(
        "weft",
        "weft-server",
        "weft-server",
        "weft",
        {
            QUIET: _WEFT,
            ACCESS_LOG: "{bin}/weft {app} --protocol asgi --port {port} --access-log",
            DEFAULT: "{bin}/weft {app} --port {port}",
            TWO_WORKERS: f"{_WEFT} --workers 2",
            IDLE: f"{_WEFT} --max-connections 20000 --keep-alive 300",
            WEBSOCKET: f"{_WEFT} --max-connections 20000",
            DEFLATE: f"{_WEFT} --max-connections 20000 --ws-compress",
            HTTP2: _WEFT,
            HTTP2_TLS: f"{_WEFT} {_TLS_CERT}",
            HTTPS: f"{_WEFT} {_TLS_CERT}",
        },
        notes={DEFAULT: _NO_LOG_BY_DEFAULT},
        version_command="{bin}/weft --version",
    ),
    Peer(
        "h2corn",
        "h2corn",
        "h2corn",
        "h2corn",
        {
            QUIET: f"{_H2CORN} --no-access-log",
            ACCESS_LOG: _H2CORN,
            DEFAULT: "{bin}/h2corn {app} --port {port}",
            TWO_WORKERS: f"{_H2CORN} --no-access-log --workers 2",
            IDLE: f"{_H2CORN} --no-access-log --timeout-keep-alive 300",
            WEBSOCKET: f"{_H2CORN} --no-access-log",
            DEFLATE: f"{_H2CORN} --no-access-log",
            HTTP2: f"{_H2CORN} --no-access-log",
            HTTP2_TLS: f"{_H2CORN} --no-access-log {_CERTFILE}",
            HTTPS: f"{_H2CORN} --no-access-log {_CERTFILE}",
        },
        version_command="{bin}/h2corn --version",
    ),
    Peer(
        "fastpysgi",
        "fastpysgi",
        "fastpysgi",
        "fastpysgi",
        {
            QUIET: _FASTPYSGI,
            DEFAULT: "{bin}/fastpysgi {app} --host 127.0.0.1 --port {port}",
            TWO_WORKERS: f"{_FASTPYSGI} --workers 2",
            IDLE: _FASTPYSGI,
        },
        notes={DEFAULT: _NO_LOG_BY_DEFAULT, ACCESS_LOG: "has no access log", WEBSOCKET: _NO_WEBSOCKET, DEFLATE: _NO_WEBSOCKET},
        version_command="{bin}/fastpysgi --version",
    ),
    Peer(
        "picocorn (3.11)",
        None,
        "picocorn",
        "picocorn",
        _only(_uvicorn_like("picocorn"), QUIET),
        python=OLDEST,
        baseline="uvicorn (3.11)",
    ),
    Peer(
        "uvicorn (3.11)",
        "uvicorn[standard]",
        "uvicorn",
        "uvicorn",
        _only(_uvicorn_like("uvicorn", f"{_UVLOOP} --http httptools"), QUIET),
        python=OLDEST,
        baseline="uvicorn (3.11)",
    ),
    Peer(FLOOR, None, "", "", {QUIET: "{floor} {port}", WEBSOCKET: "{websocket_floor} {port}"}),
)

BY_NAME = {peer.name: peer for peer in PEERS}

#: what the applications are made with, and servers speak HTTP/2 with; on the oldest Python only what its rows need
FRAMEWORKS = {NEWEST: ("uvloop", "starlette", "fastapi", "django", "h2", "zttp"), OLDEST: ("uvloop", "starlette", "fastapi")}

#: packages whose versions the results name
NAMED_PACKAGES = (
    "picocorn",
    "uvicorn",
    "granian",
    "gunicorn",
    "gunicorn_h1c",
    "hypercorn",
    "peregrine-server",
    "weft-server",
    "h2corn",
    "fastpysgi",
    "uvloop",
    "httptools",
    "h11",
    "websockets",
    "wsproto",
    "h2",
    "zttp",
    "starlette",
    "fastapi",
    "pydantic",
    "django",
)
