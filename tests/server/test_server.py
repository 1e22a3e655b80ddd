"""`Server` in a program: the attributes and methods that programs use and override, and what an application sees of it."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

import picocorn
from harness import Gate, running, wait_until
from picocorn.server.server import HANDLED_SIGNALS
from raw_client import get

OPTIONS: dict[str, Any] = {"port": 0, "log_config": None}


async def app(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    body = f"{scope['scheme']} {scope['client'][0] if scope['client'] else None} {scope['path']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


class Lifespan:
    """An application that counts, and that can be told to fail."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.states: list[Any] = []
        self.loops: set[Any] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.loops.add(asyncio.get_running_loop())
        if scope["type"] == "http":
            self.states.append(scope["state"])
            scope["state"]["mine"] = True
            await app(scope, receive, send)
            return
        scope["state"]["shared"] = self
        for event in ("startup", "shutdown"):
            await receive()
            self.events.append(event)
            await send({"type": f"lifespan.{event}.complete"})


def request(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        sock.sendall(get(b"/", b"Connection: close"))
        return sock.makefile("rb").read()


class Announced(picocorn.Server):
    """Says when it has started."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets=sockets)
        self.up.set()


# -- driven by programs


def test_in_a_thread(http: str) -> None:
    server = picocorn.Server(picocorn.Config(app, http=http, **OPTIONS))
    assert (server.started, server.should_exit, server.force_exit, server.servers) == (False, False, False, [])
    up = threading.Event()

    async def tick(counter: int) -> bool:
        up.set()
        return await type(server).on_tick(server, counter)

    server.on_tick = tick  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert up.wait(20)
        assert server.started
        host, port = server.servers[0].sockets[0].getsockname()
        assert host == "127.0.0.1"
        assert b"200 OK" in request(port)
        assert server.server_state.total_requests == 1
    finally:
        server.should_exit = True
        thread.join(20)
    assert not thread.is_alive()
    assert not server.server_state.connections
    assert not server.server_state.tasks


def test_piece_by_piece() -> None:
    lifespan_app = Lifespan()

    async def main() -> None:
        config = picocorn.Config(lifespan_app, **OPTIONS)
        server = picocorn.Server(config)
        config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup()
        port = server.servers[0].sockets[0].getsockname()[1]
        assert b"200 OK" in await asyncio.to_thread(request, port)
        server.should_exit = True
        await server.main_loop()
        await server.shutdown()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.to_thread(request, port)

    asyncio.run(main())
    assert lifespan_app.events == ["startup", "shutdown"]
    assert len(lifespan_app.loops) == 1


def test_an_idle_server_looks_up_once_a_second() -> None:
    async def main() -> None:
        ticks: list[tuple[int, float]] = []
        config = picocorn.Config(app, **OPTIONS)
        server = picocorn.Server(config)

        async def pause(seconds: float) -> None:
            ticks[-1] = (ticks[-1][0], seconds)
            if len(ticks) in (4, 5):
                server.server_state.total_requests += 1

        async def tick(counter: int) -> bool:
            ticks.append((counter, 0.0))
            return len(ticks) > 8

        server.on_tick = tick  # type: ignore[method-assign]
        server._pause = pause  # type: ignore[method-assign]
        await server.main_loop()
        paused = [round(seconds, 3) for _, seconds in ticks[:-1]]
        assert paused == [0.1, 0.9, 1.0, 1.0, 0.1, 0.1, 0.8, 1.0]
        assert [counter for counter, _ in ticks] == [0, 1, 10, 20, 30, 31, 32, 40, 50]

    asyncio.run(main())


def test_an_idle_server_wakes_up_when_it_is_told_to_end() -> None:
    async def main() -> None:
        server = picocorn.Server(picocorn.Config(app, **OPTIONS))
        paused: list[float] = []

        async def pause(seconds: float) -> None:
            paused.append(seconds)
            pausing.set()
            # For ever, as far as this test goes: only being told can end it.
            await original(seconds * 1000)

        async def told_later() -> None:
            await pausing.wait()
            await asyncio.to_thread(setattr, server, "should_exit", True)

        pausing = asyncio.Event()
        original = server._pause
        server._pause = pause  # type: ignore[method-assign]
        await asyncio.wait_for(asyncio.gather(server.main_loop(), told_later()), 20)
        assert len(paused) == 1

    asyncio.run(main())


def test_it_can_serve_again_on_another_loop() -> None:
    server = Announced(picocorn.Config(app, **OPTIONS))

    async def main() -> None:
        server.should_exit = False
        server.up.clear()
        task = asyncio.create_task(server.serve())
        await server.up.wait()
        port = server.servers[0].sockets[0].getsockname()[1]
        assert b"200 OK" in await asyncio.to_thread(request, port)
        await asyncio.to_thread(setattr, server, "should_exit", True)
        await task

    asyncio.run(main())
    server.up = asyncio.Event()
    asyncio.run(main())


def test_on_a_loop_that_runs_already() -> None:
    async def main() -> None:
        server = Announced(picocorn.Config(app, **OPTIONS))
        task = asyncio.create_task(server.serve())
        await server.up.wait()
        port = server.servers[0].sockets[0].getsockname()[1]
        assert b"200 OK" in await asyncio.to_thread(request, port)
        server.should_exit = True
        await task

    asyncio.run(main())


def test_sockets_that_are_brought_along(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "picocorn.error")

    async def main() -> None:
        server = Announced(picocorn.Config(app, **OPTIONS))
        with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
            ports = [sock.getsockname()[1] for sock in (first, second)]
            task = asyncio.create_task(server.serve(sockets=[first, second]))
            await server.up.wait()
            for port in ports:
                assert b"200 OK" in await asyncio.to_thread(request, port)
            server.should_exit = True
            await task
            assert first.fileno() == -1

    asyncio.run(main())
    assert not [message for message in caplog.messages if "running on" in message]


def test_a_port_that_is_taken_ends_the_application(caplog: pytest.LogCaptureFixture) -> None:
    lifespan_app = Lifespan()

    async def main(port: int) -> None:
        server = picocorn.Server(picocorn.Config(lifespan_app, **{**OPTIONS, "port": port}))
        await server.serve()

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SystemExit, match="3"):
        asyncio.run(main(taken.getsockname()[1]))
    assert lifespan_app.events == ["startup", "shutdown"]
    assert "address already in use" in caplog.text


def test_run_tells_a_failed_start_by_its_exit_code() -> None:
    async def refuses(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.failed"})

    with pytest.raises(SystemExit, match="3"):
        picocorn.run(refuses, **OPTIONS)


def test_callback_notify() -> None:
    calls = []

    async def main() -> None:
        async def notify() -> None:
            calls.append(server.started)
            server.should_exit = True

        server = picocorn.Server(picocorn.Config(app, callback_notify=notify, timeout_notify=0, **OPTIONS))
        await server.serve()

    asyncio.run(main())
    assert calls == [True]


def test_jitter_is_drawn_once() -> None:
    server = picocorn.Server(picocorn.Config(app, limit_max_requests=10, limit_max_requests_jitter=5, **OPTIONS))
    limit = server.limit_max_requests
    assert limit is not None
    assert 10 <= limit <= 15
    assert {server.limit_max_requests for _ in range(20)} == {limit}
    assert picocorn.Server(picocorn.Config(app, **OPTIONS)).limit_max_requests is None


# -- signals


class Signalled(picocorn.Server):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.seen: list[int] = []

    def handle_exit(self, sig: int, frame: Any) -> None:
        self.seen.append(sig)
        self.should_exit = True


def test_handle_exit_is_looked_up_when_the_signal_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    async def main() -> None:
        server = picocorn.Server(picocorn.Config(app, **OPTIONS))
        with server.capture_signals():
            # What libraries find when they look for the server of this process.
            assert signal.getsignal(signal.SIGTERM).__self__ is server  # type: ignore[union-attr]
            monkeypatch.setattr(picocorn.Server, "handle_exit", lambda self, sig, frame: seen.append(sig))
            signal.raise_signal(signal.SIGTERM)
        subclass = Signalled(picocorn.Config(app, **OPTIONS))
        with subclass.capture_signals():
            signal.raise_signal(signal.SIGINT)
        assert subclass.seen == [signal.SIGINT]
        assert subclass.should_exit

    asyncio.run(main())
    assert seen == [signal.SIGTERM]


def test_captured_signals_go_to_who_handled_them_before() -> None:
    seen = []
    before = signal.signal(signal.SIGTERM, lambda sig, frame: seen.append(sig))
    try:
        server = picocorn.Server(picocorn.Config(app, **OPTIONS))
        with server.capture_signals():
            signal.raise_signal(signal.SIGTERM)
            assert server.should_exit
            assert not seen
            signal.raise_signal(signal.SIGTERM)
            assert not server.force_exit
        assert seen == [signal.SIGTERM, signal.SIGTERM]
        assert not server._watchdog.armed
    finally:
        signal.signal(signal.SIGTERM, before)


def test_no_signals_outside_the_main_thread() -> None:
    before = [signal.getsignal(number) for number in HANDLED_SIGNALS]
    inside: list[Any] = []

    def body() -> None:
        with picocorn.Server(picocorn.Config(app, **OPTIONS)).capture_signals():
            inside.extend(signal.getsignal(number) for number in HANDLED_SIGNALS)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join(20)
    assert inside == before


def test_overridden_signal_methods_do_no_harm() -> None:
    class Quiet(picocorn.Server):
        def install_signal_handlers(self) -> None:
            raise AssertionError("nobody calls this")

    async def main() -> None:
        server = Quiet(picocorn.Config(app, **OPTIONS))
        server.should_exit = True
        await server.serve()

    asyncio.run(main())


# -- what an application sees of the options


@pytest.fixture
def http(twin: str) -> str:
    """The value of the option `http` for the body whose turn it is."""
    return twin


def test_lifespan_state_is_copied_for_each_request(http: str) -> None:
    lifespan_app = Lifespan()
    with running(lifespan_app, http=http, lifespan="on") as server:
        client = server.connect()
        client.request()
        client.request()
    first, second = lifespan_app.states
    assert first == {"shared": lifespan_app, "mine": True}
    assert first is not second
    assert lifespan_app.events == ["startup", "shutdown"]
    assert len(lifespan_app.loops) == 1


def test_headers_and_their_order(http: str) -> None:
    with running(app, http=http, headers=[("X-A", "1"), ("x-b", "2")]) as server:
        names = [name for name, _value in server.connect().request().headers]
        assert names == [b"date", b"server", b"x-a", b"x-b", b"content-length"]
    with running(app, http=http, server_header=False, date_header=False) as server:
        assert [name for name, _value in server.connect().request().headers] == [b"content-length"]


def test_the_date_is_today(http: str) -> None:
    with running(app, http=http) as server:
        date = server.connect().request().get(b"date")
        assert date is not None
        assert re.fullmatch(rb"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", date)


def test_default_headers_can_be_replaced(http: str) -> None:
    with running(app, http=http) as server:
        client = server.connect()
        client.request()

        def replace() -> None:
            server.server.config.encoded_headers = [(b"x-new", b"1")]
            server.state.default_headers = [(b"x-new", b"1")]

        server.call(replace)
        assert client.request().get(b"x-new") == b"1"


def test_root_path_and_proxies(http: str) -> None:
    with running(app, http=http, root_path="/api") as server:
        response = server.connect().request(b"/x", b"X-Forwarded-For: 1.2.3.4", b"X-Forwarded-Proto: https")
        assert response.body == b"https 1.2.3.4 /api/x"
    with running(app, http=http, proxy_headers=False) as server:
        response = server.connect().request(b"/x", b"X-Forwarded-For: 1.2.3.4", b"X-Forwarded-Proto: https")
        assert response.body == b"http 127.0.0.1 /x"
    with running(app, http=http, forwarded_allow_ips="10.0.0.1") as server:
        assert server.connect().request(b"/x", b"X-Forwarded-For: 1.2.3.4").body == b"http 127.0.0.1 /x"


def test_an_application_in_a_middleware_of_the_programs_own(http: str) -> None:
    # `loaded_app` replaced in place: the proxy middleware inside goes on working.
    config = picocorn.Config(app, http=http, **OPTIONS)
    config.load()
    inner = config.loaded_app
    calls = []

    async def around(scope: Any, receive: Any, send: Any) -> None:
        calls.append(scope["type"])
        await inner(scope, receive, send)

    config.loaded_app = around

    async def main() -> None:
        server = picocorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup()
        port = server.servers[0].sockets[0].getsockname()[1]

        def ask() -> bytes:
            with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
                sock.sendall(get(b"/x", b"Connection: close", b"X-Forwarded-For: 1.2.3.4"))
                return sock.makefile("rb").read()

        assert (await asyncio.to_thread(ask)).endswith(b"http 1.2.3.4 /x")
        await server.shutdown()

    asyncio.run(main())
    assert calls == ["lifespan", "http"]


def test_access_log(http: str) -> None:
    with running(app, http=http, log_level="info") as server:
        server.connect().request(b"/a%2Fb?x=1", b"X-Forwarded-For: 1.2.3.4:5")
        (record,) = (record for record in server.log.records if record.name == "picocorn.access")
        assert record.args == ("1.2.3.4:5", "GET", "/a/b?x=1", "1.1", 200)
    with running(app, http=http, log_level="info", access_log=False) as server:
        server.connect().request()
        assert not [record for record in server.log.records if record.name == "picocorn.access"]


def test_unix_socket(http: str, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with running(app, http=http, uds=str(path)) as server:
        assert server.connect().request(b"/x", b"X-Forwarded-For: 1.2.3.4").body == b"http None /x"
    assert not path.exists()
    with running(app, http=http, uds=str(path), forwarded_allow_ips="*") as server:
        assert server.connect().request(b"/x", b"X-Forwarded-For: 1.2.3.4").body == b"http 1.2.3.4 /x"


# -- protocol classes of others


class Foreign(asyncio.Protocol):
    """Made as uvicorn makes its protocols. Answers whatever comes."""

    made: list[dict[str, Any]] = []  # noqa: RUF012

    def __init__(self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: Any = None) -> None:
        self.made.append({"config": config, "app_state": app_state, "loop": _loop})
        self.state = server_state
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.state.connections.add(self)

    def data_received(self, data: bytes) -> None:
        self.state.total_requests += 1
        self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nforeign")

    def connection_lost(self, error: Exception | None) -> None:
        self.state.connections.discard(self)

    def shutdown(self) -> None:
        self.transport.close()


class Stuck(Foreign):
    """Does not close when it is told to."""

    def shutdown(self) -> None: ...


@pytest.mark.parametrize("uds", [False, True])
def test_a_protocol_class_of_somebody_elses(uds: bool, tmp_path: Path) -> None:
    Foreign.made.clear()
    options = {"uds": str(tmp_path / "s")} if uds else {}
    with running(Lifespan(), http=Foreign, lifespan="on", **options) as server:
        assert server.connect().request().body == b"foreign"
        (made,) = Foreign.made
        assert made["config"] is server.config
        assert made["app_state"] is server.server.lifespan.state
        assert made["loop"] is server.loop


def test_a_stuck_protocol_class_is_aborted() -> None:
    with running(app, http=Stuck, timeout_graceful_shutdown=0.1) as server:
        client = server.connect()
        client.request()
        server.stop()
        server.join()


def test_a_protocol_class_of_ones_own_made_from_ours(http: str) -> None:
    from picocorn.connection import http1, http1_py

    base: Any = http1_py.HTTP1Protocol if http == "pure" else http1.HTTP1Protocol

    class Mine(base):  # type: ignore[misc]
        seen: list[bytes] = []  # noqa: RUF012

        def data_received(self, data: bytes) -> None:
            self.seen.append(data)
            super().data_received(data)

    with running(app, http=Mine) as server:
        server.connect().request(b"/x")
        assert Mine.seen[0].startswith(b"GET /x ")


# -- the end


def test_requests_that_run_are_finished(http: str) -> None:
    entered, go = Gate(), Gate()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        entered.open()
        await go.passed()
        await app(scope, receive, send)

    with running(slow, http=http, log_level="info") as server:
        client = server.connect()
        client.send(get(b"/x"))
        entered.wait()
        server.stop()
        waiting = "Waiting for connections to close. (CTRL+C to force quit)"
        wait_until(lambda: waiting in server.messages(), waiting)
        go.open()
        response = client.response()
        assert response.body == b"http 127.0.0.1 /x"
        assert response.get(b"connection") == b"close"
        assert client.read_to_end() == b""


def test_tasks_after_the_response_are_waited_for(http: str) -> None:
    go, done = Gate(), Gate()

    async def background(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)
        await go.passed()
        done.open()

    with running(background, http=http) as server:
        client = server.connect()
        client.request()
        server.stop()
        assert client.read_to_end() == b""
        go.open()
        server.join()
        assert done.is_open()


def test_a_forced_exit_leaves_out_the_lifespan(http: str) -> None:
    lifespan_app = Lifespan()
    entered = Gate()

    async def stuck(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await lifespan_app(scope, receive, send)
            return
        entered.open()
        await asyncio.Event().wait()

    with running(stuck, http=http, lifespan="on", timeout_graceful_shutdown=0, check=False) as server:
        server.connect().send(get(b"/"))
        entered.wait()
        server.server.force_exit = True
        server.stop()
        server.join()
    assert lifespan_app.events == ["startup"]
