"""From an upgrade request to its answer: who has the connection, what is sent, what is refused, and what has come too early."""

from __future__ import annotations

import gc
import logging
from collections import Counter
from typing import Any

import pytest

from connection.applications import Held, hello, post, request, start
from connection.websockets import Peer, Puppet, echo
from e2e.websocket_frames import BINARY, CLOSE, KEY, PING, PONG, TEXT, Frame, close_frame, frame, handshake
from picocorn.asgi.proxy_headers import TrustedHosts
from picocorn.base.errors import ClientDisconnected, LocalProtocolError
from picocorn.base.levels import TRACE_LOG_LEVEL
from picocorn.base.limits import HIGH_WATER_BYTES, WebSocketLimits

ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"date: now\r\n"
    b"upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
)
UPGRADE = (b"Upgrade: websocket", b"Connection: Upgrade")
HELLO = frame(TEXT, b"hello")


def asked(bench: Any, app: Any, *fields: bytes, behind: bytes = b"", **options: Any) -> Peer:
    """A client that has sent a handshake."""
    return Peer(bench.connect(app, websocket=True, **options)).send(handshake(b"/", *fields) + behind)


def fields_of(head: bytes) -> dict[bytes, bytes]:
    lines = head.split(b"\r\n")[1:-2]
    fields = dict(line.split(b": ", 1) for line in lines)
    assert len(fields) == len(lines), head
    return fields


# -- accepted


def test_nothing_is_answered_before_the_accept(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        bench.state.default_headers = [(b"date", b"now")]
        puppet = Puppet()
        peer = asked(bench, puppet)
        assert await peer.head() == b""
        assert await puppet.receive() == {"type": "websocket.connect"}
        assert await peer.head() == b""
        await puppet.send({"type": "websocket.accept"})
        assert await peer.head() == ACCEPTED + b"\r\n"
        assert bench.state.total_requests == 1
        assert peer.protocol in bench.state.connections
        assert len(bench.state.connections) == 1


def test_fields_of_the_accept(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        bench.state.default_headers = [(b"date", b"now")]
        puppet = Puppet()
        offers = (b"Sec-WebSocket-Protocol: a, b", b"Sec-WebSocket-Extensions: permessage-deflate")
        peer = asked(bench, puppet, *offers)
        await peer.settle()
        assert puppet.scope["subprotocols"] == ["a", "b"]
        puppet.scope["subprotocols"].append("c")  # the application's own list
        headers = ((name, b"1") for name in (b"set-cookie", b"X-Y"))
        with pytest.raises(LocalProtocolError, match="'c'"):
            await puppet.accept(subprotocol="c")
        await puppet.send({"type": "websocket.accept", "subprotocol": "b", "headers": headers})
        assert await peer.head() == ACCEPTED + (
            b"sec-websocket-protocol: b\r\nsec-websocket-extensions: permessage-deflate\r\nset-cookie: 1\r\nX-Y: 1\r\n\r\n"
        )


@pytest.mark.parametrize(
    "name",
    [
        b"Sec-WebSocket-Protocol",
        b"sec-websocket-accept",
        b"sec-websocket-extensions",
        b"sec-websocket-key",
        b"sec-websocket-version",
        b"upgrade",
        b"Connection",
        b"content-length",
        b"transfer-encoding",
    ],
)
def test_fields_that_are_the_servers(bench: Any, name: bytes) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet = Puppet()
        peer = asked(bench, puppet)
        await peer.settle()
        with pytest.raises(LocalProtocolError, match=f"'{name.decode()}'"):
            await puppet.accept(headers=[(b"x", b"y"), (name, b"1")])
        # Nothing has happened, and the application may do it right.
        assert await peer.rest() == b""
        await puppet.send({"type": "websocket.accept"})
        assert (await peer.head()).startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize("headers", [[(b"x", b"a\r\nb: c")], [(b"x y", b"")], [(b"x",)], [("x", "y")], [7], 7])
def test_fields_that_cannot_be_sent(bench: Any, headers: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet = Puppet()
        peer = asked(bench, puppet)
        await peer.settle()
        with pytest.raises(LocalProtocolError):
            await puppet.accept(headers=headers)
        assert await peer.rest() == b""
        await puppet.send({"type": "websocket.accept"})
        assert (await peer.head()).startswith(b"HTTP/1.1 101 ")


def test_deflate_is_agreed_on_where_it_is_wanted(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        offer = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
        for deflate in (True, False):
            peer = asked(bench, echo, offer, websocket_limits=WebSocketLimits(deflate=deflate))
            assert (b"sec-websocket-extensions" in fields_of(await peer.head())) is deflate
            peer.send(frame(TEXT, b"x" * 1000))
            (answer,) = await peer.frames()
            assert answer.compressed is deflate


def test_scope(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        for tls, scheme in ((False, "ws"), (True, "wss")):
            puppet = Puppet()
            peer = Peer(bench.connect(puppet, websocket=True, tls=tls)).send(handshake(b"/a%20b?q=1", b"X: y"))
            await peer.settle()
            scope = puppet.scope
            assert (scope["type"], scope["scheme"], scope["http_version"]) == ("websocket", scheme, "1.1")
            assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/a b", b"/a%20b", b"q=1")
            assert (scope["client"], scope["server"]) == (("10.0.0.1", 4242), ("127.0.0.1", 8000))
            assert scope["extensions"] == {"websocket.http.response": {}}
            assert (b"sec-websocket-key", KEY) in scope["headers"]
            assert "method" not in scope


@pytest.mark.parametrize("protocol", [b"https", b"wss"])
def test_proxies_that_are_trusted_are_believed(bench: Any, protocol: bytes) -> None:
    @bench
    async def _(bench: Any) -> None:
        for trusted, expected in (("10.0.0.1", ("wss", ("1.2.3.4", 0))), ("10.0.0.2", ("ws", ("10.0.0.1", 4242)))):
            puppet = Puppet()
            fields = (b"X-Forwarded-Proto: " + protocol, b"X-Forwarded-For: 1.2.3.4")
            peer = asked(bench, puppet, *fields, trusted_hosts=TrustedHosts(trusted))
            await peer.settle()
            assert (puppet.scope["scheme"], puppet.scope["client"]) == expected


def test_http_leaves_nothing_behind_that_an_idle_websocket_would_keep(bench: Any) -> None:
    def alive() -> Counter[str]:
        gc.collect()
        kept = {"HTTP1Protocol", "HTTP1Connection", "RequestHead", "Handshake"}
        return Counter(name for one in gc.get_objects() if (name := type(one).__name__) in kept)

    @bench
    async def _(bench: Any) -> None:
        # Others may have left some: in the traceback of a test that expects an error, say.
        before = alive()
        peer = asked(bench, echo)
        assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
        assert not alive() - before
        assert [f.payload for f in await peer.send(HELLO).frames()] == [b"hello"]


# -- bytes behind the handshake


def conversation() -> tuple[bytes, list[Frame]]:
    sent = HELLO + frame(PING, b"p") + frame(BINARY, bytes(300)) + close_frame(4000, "bye")
    frames = [Frame(TEXT, b"hello"), Frame(PONG, b"p"), Frame(BINARY, bytes(300)), Frame(CLOSE, b"\x0f\xa0bye")]
    return sent, frames


def test_conversation_split_anywhere(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        frames, expected = conversation()
        whole = handshake(b"/") + frames
        for cut in range(1, len(whole)):
            peer = Peer(bench.connect(echo, websocket=True)).send(whole[:cut])
            await peer.settle()
            peer.send(whole[cut:])
            assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
            got = await peer.frames()
            assert [one for one in got if one.opcode < CLOSE] == [one for one in expected if one.opcode < CLOSE]
            assert sorted(one.opcode for one in got) == sorted(one.opcode for one in expected)
            assert got[-1] == expected[-1]
            assert peer.transport.lost


def test_pipelined_behind_a_request(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await (hello if scope["type"] == "http" else echo)(scope, receive, send)

        connection = bench.connect(app, websocket=True)
        connection.send(request(b"/first") + handshake(b"/") + HELLO)
        output = await connection.answer()
        assert output.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"/firstHTTP/1.1 101 Switching Protocols\r\n" in output
        assert output.endswith(b"\r\n\r\n\x81\x05hello")
        assert bench.state.total_requests == 2


def test_what_comes_before_the_accept_is_held_and_bounded(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet = Puppet()
        peer = asked(bench, puppet, behind=frame(BINARY, bytes(HIGH_WATER_BYTES - 100)))
        await peer.settle()
        assert peer.transport.reading
        late = frame(BINARY, b"x" * 200)
        peer.send(late[:1], late[1:2], late[2:])
        assert not peer.transport.reading
        await puppet.accept()
        assert await puppet.hear() == bytes(HIGH_WATER_BYTES - 100)
        assert await puppet.hear() == b"x" * 200
        await peer.settle()
        assert peer.transport.reading


# -- refused


@pytest.mark.parametrize(
    ("status", "lines"),
    [
        (400, (*UPGRADE, b"Sec-WebSocket-Version: 13")),
        (400, (*UPGRADE, b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: c2hvcnQ=")),
        (400, (*UPGRADE, b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: " + KEY, b"Content-Length: 1")),
        (426, (*UPGRADE, b"Sec-WebSocket-Version: 8", b"Sec-WebSocket-Key: " + KEY)),
    ],
)
def test_handshakes_that_are_none(bench: Any, status: int, lines: tuple[bytes, ...]) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        connection = bench.connect(app, websocket=True).send(request(b"/", *lines) + request(b"/2"))
        head, _, body = (await connection.answer()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % status)
        fields = fields_of(head + b"\r\n\r\n")
        assert fields[b"connection"].startswith(b"close")
        assert int(fields[b"content-length"]) == len(body)
        if status == 426:
            assert (fields[b"sec-websocket-version"], fields[b"upgrade"]) == (b"13", b"websocket")
        # In stages: what the client may still be sending must not reset the answer away.
        assert connection.transport.ended
        assert app.calls == []


def test_handshake_of_http10(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        lines = (*UPGRADE, b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: " + KEY)
        connection = bench.connect(hello, websocket=True).send(request(b"/", *lines, version=b"1.0"))
        assert (await connection.answer()).startswith(b"HTTP/1.1 400 ")
        # Any other upgrade is ignored there (RFC 9110 7.8), and so is this one where nobody speaks it.
        for options, value in (({"websocket": True}, b"h2c"), ({}, b"websocket")):
            connection = bench.connect(hello, **options)
            connection.send(request(b"/", b"Connection: Upgrade", b"Upgrade: " + value, version=b"1.0"))
            assert (await connection.answer()).startswith(b"HTTP/1.1 200 ")


def test_other_upgrades_are_ignored_as_ever(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(hello, websocket=True)
        connection.send(request(b"/1", b"Connection: Upgrade", b"Upgrade: h2c") + request(b"/2"))
        assert (await connection.answer()).count(b"HTTP/1.1 200 OK\r\n") == 2


@pytest.mark.parametrize("value", [b"WebSocket", b"h2c, WEBSOCKET"])
def test_tokens_have_no_case_and_stand_in_lists(bench: Any, value: bytes) -> None:
    @bench
    async def _(bench: Any) -> None:
        lines = (b"Upgrade: " + value, b"Connection: keep-alive, UPGRADE", b"Sec-WebSocket-Version: 13")
        connection = bench.connect(echo, websocket=True).send(request(b"/", *lines, b"Sec-WebSocket-Key: " + KEY))
        assert (await connection.answer()).startswith(b"HTTP/1.1 101 ")


def test_too_many_requests_are_running(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet = Puppet()
        context = bench.context(puppet, websocket=True, limit_concurrency=1)
        first = bench.connect(puppet, context=context).send(handshake(b"/"))
        await bench.settle()
        await puppet.accept()
        assert (await first.answer()).startswith(b"HTTP/1.1 101 ")
        second = bench.connect(puppet, context=context).send(handshake(b"/") + HELLO)
        output = await second.answer()
        assert output.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"connection: close\r\n" in output
        assert second.transport.ended


# -- answered by the application


def test_close_before_the_accept_is_403(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "picocorn.error")

    @bench
    async def _(bench: Any) -> None:
        puppet = Puppet()
        peer = asked(bench, puppet, behind=HELLO)
        await peer.settle()
        await puppet.receive()
        await puppet.close(code=4000, reason="no")
        head = await peer.head()
        assert head.startswith(b"HTTP/1.1 403 Forbidden\r\n")
        assert fields_of(head)[b"content-length"] == b"0"
        assert fields_of(head)[b"connection"] == b"close"
        assert await peer.rest() == b""
        assert peer.transport.ended
        assert (await puppet.hear())[0] == 1006
        with pytest.raises(ClientDisconnected):
            await puppet.send({"type": "websocket.accept"})

    assert caplog.messages == ['10.0.0.1:4242 - "WebSocket /" 403']


@pytest.mark.parametrize("fields", [{"reason": [{"loc": "query"}]}, {"code": 1005}, {"code": 123456}])
def test_close_before_the_accept_may_say_anything(bench: Any, fields: Any) -> None:
    """FastAPI gives its list of validation errors for a reason. No frame is sent, so nothing is wrong with that."""

    @bench
    async def _(bench: Any) -> None:
        puppet = Puppet()
        peer = asked(bench, puppet)
        await peer.settle()
        await puppet.receive()
        await puppet.close(**fields)
        assert (await peer.head()).startswith(b"HTTP/1.1 403 Forbidden\r\n")


@pytest.mark.parametrize("raises", [None, ValueError("as asked")])
def test_an_application_that_ends_before_the_accept_is_500(bench: Any, raises: Any, caplog: pytest.LogCaptureFixture) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet = Puppet()
        peer = asked(bench, puppet)
        await peer.settle()
        puppet.raises = raises
        puppet.gate.set()
        assert (await peer.head()).startswith(b"HTTP/1.1 500 ")
        assert await peer.rest() == b"Internal Server Error"
        assert peer.transport.ended

    assert len(caplog.messages) == 1


def test_denial_response(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "picocorn.error")

    @bench
    async def _(bench: Any) -> None:
        puppet = Puppet()
        peer = asked(bench, puppet, behind=HELLO)
        await peer.settle()
        await puppet.receive()
        await puppet.send({**start(401, (b"x", b"y")), "type": "websocket.http.response.start"})
        assert await peer.rest() == b""
        # What comes meanwhile is nobody's.
        peer.send(frame(BINARY, bytes(2 * HIGH_WATER_BYTES)))
        assert peer.transport.reading
        part = {"type": "websocket.http.response.body", "body": b"no, ", "more_body": True}
        await puppet.send(part)
        head = await peer.head()
        assert head.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
        assert fields_of(head) == {b"x": b"y", b"connection": b"close", b"transfer-encoding": b"chunked"}
        assert await peer.rest() == b"4\r\nno, \r\n"
        assert not peer.transport.ended
        await puppet.send({**part, "body": b"really", "more_body": False})
        assert await peer.rest() == b"6\r\nreally\r\n0\r\n\r\n"
        assert peer.transport.ended

    assert caplog.messages == ['10.0.0.1:4242 - "WebSocket /" 401']


def test_denial_response_that_is_left_unfinished(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        for begun in (False, True):
            puppet = Puppet()
            peer = asked(bench, puppet)
            await peer.settle()
            await puppet.receive()
            await puppet.send({**start(200), "type": "websocket.http.response.start"})
            if begun:
                await puppet.send({"type": "websocket.http.response.body", "body": b"a", "more_body": True})
                assert (await peer.rest()).endswith(b"1\r\na\r\n")
            puppet.gate.set()
            output = await peer.rest()
            if begun:
                # Never a clean end.
                assert (output, peer.transport.aborted) == (b"", True)
            else:
                assert output.startswith(b"HTTP/1.1 500 ")


def test_denial_response_to_a_client_that_goes(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet = Puppet()
        peer = asked(bench, puppet)
        await peer.settle()
        await puppet.receive()
        await puppet.send({**start(200), "type": "websocket.http.response.start"})
        body = {"type": "websocket.http.response.body", "body": b"a", "more_body": True}
        await puppet.send(body)
        assert not peer.connection.half_close()
        await peer.settle()
        assert peer.transport.lost
        with pytest.raises(ClientDisconnected):
            await puppet.send(body)
        assert await puppet.hear() == (1006, "")


# -- the log


def test_what_is_logged(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(TRACE_LOG_LEVEL, "picocorn.error")

    @bench
    async def _(bench: Any) -> None:
        peer = Peer(bench.connect(echo, websocket=True)).send(handshake(b"/a%20b?q=1"))
        await peer.head()
        peer.send(close_frame())
        await peer.frames()

    client = "10.0.0.1:4242 - "
    assert caplog.messages == [
        client + "HTTP connection made",
        client + "Upgrading to WebSocket",
        client + "WebSocket connection made",
        client + '"WebSocket /a%20b?q=1" [accepted]',
        client + "WebSocket connection lost",
    ]


def test_what_is_logged_obeys_no_client(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "picocorn.error")

    @bench
    async def _(bench: Any) -> None:
        for answer in ("websocket.accept", "websocket.close"):
            puppet = Puppet()
            peer = asked(bench, puppet, b"X-Forwarded-For: \x9b31m\x85forged", trusted_hosts=TrustedHosts("10.0.0.1"))
            await peer.settle()
            await puppet.send({"type": answer})

    assert caplog.messages == [
        '\\x9b31m\\x85forged:0 - "WebSocket /" [accepted]',
        '\\x9b31m\\x85forged:0 - "WebSocket /" 403',
    ]


def test_a_scope_that_cannot_be_logged(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "picocorn.error")

    @bench
    async def _(bench: Any) -> None:
        puppet = Puppet()
        peer = asked(bench, puppet)
        await peer.settle()
        del puppet.scope["path"]
        await puppet.accept()
        assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
        assert [type(context["exception"]) for context in bench.unhandled] == [KeyError]
        bench.unhandled.clear()


# -- the end comes first


def test_client_that_goes_before_the_answer(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        for how in ("half-close", "reset"):
            puppet = Puppet()
            peer = asked(bench, puppet, behind=HELLO)
            await peer.settle()
            await puppet.receive()
            if how == "reset":
                peer.transport.lose(ConnectionResetError())
            else:
                assert not peer.connection.half_close()
            assert await puppet.hear() == (1006, "")
            with pytest.raises(ClientDisconnected):
                await puppet.send({"type": "websocket.accept"})
            assert await peer.rest() == b""
            assert peer.transport.lost


def test_half_close_with_the_handshake(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        connection = bench.connect(app, websocket=True).send(request(b"/") + handshake(b"/") + HELLO)
        connection.half_close()
        await bench.settle()
        app.gates[0].set()
        await bench.settle()
        # The application is called, and told at once.
        assert len(app.calls) == 2
        receive = app.calls[1]["receive"]
        assert await receive() == {"type": "websocket.connect"}
        assert await receive() == {"type": "websocket.disconnect", "code": 1006, "reason": ""}
        assert connection.transport.lost


def test_shutdown_before_the_answer_is_503(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet = Puppet()
        peer = asked(bench, puppet, behind=HELLO)
        await peer.settle()
        await puppet.receive()
        peer.protocol.shutdown()
        peer.protocol.shutdown()
        assert (await peer.rest()).startswith(b"HTTP/1.1 503 ")
        assert await puppet.hear() == (1012, "")
        with pytest.raises(ClientDisconnected):
            await puppet.send({"type": "websocket.accept"})
        assert peer.transport.ended


def test_shutdown_lets_a_denial_response_finish(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet = Puppet()
        peer = asked(bench, puppet)
        await peer.settle()
        await puppet.receive()
        await puppet.send({**start(200), "type": "websocket.http.response.start"})
        peer.protocol.shutdown()
        await puppet.send({"type": "websocket.http.response.body", "body": b"whole"})
        assert (await peer.rest()).endswith(b"\r\n\r\nwhole")


def test_shutdown_while_the_handshake_comes(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        connection = bench.connect(app, websocket=True)
        whole = handshake(b"/")
        connection.send(whole[:-2])
        connection.protocol.shutdown()
        connection.send(whole[-2:])
        assert (await connection.answer()).startswith(b"HTTP/1.1 503 ")
        assert app.calls == []


def test_disconnect_before_the_answer(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet = Puppet()
        peer = asked(bench, puppet)
        await peer.settle()
        await puppet.receive()
        peer.protocol.disconnect()
        assert await puppet.hear() == (1006, "")
        assert peer.transport.aborted


def test_content_behind_a_post_is_no_handshake(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        lines = (*UPGRADE, b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: " + KEY)
        connection = bench.connect(hello, websocket=True).send(post(b"content", *lines))
        output = await connection.answer()
        assert output.startswith(b"HTTP/1.1 400 ")
        assert output.count(b"HTTP/1.1") == 1
