"""The codec in conversation with other people's: what `websockets` and `wsproto` send is read, and what we send they read."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from types import ModuleType
from typing import Any

import pytest
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri
from wsproto import ConnectionType, WSConnection
from wsproto.connection import Connection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Ping, Pong, Request, TextMessage
from wsproto.extensions import PerMessageDeflate

from picocorn.base.errors import WebSocketError
from picocorn.base.limits import HTTP1Limits, WebSocketLimits
from picocorn.http1.events import HEAD
from picocorn.http1.parser import RequestParser
from picocorn.websocket.deflate import DeflateParameters, negotiate
from picocorn.websocket.handshake import accept_value, check_handshake
from picocorn.websocket.opcodes import BINARY, CLOSE, NEED_DATA, PING, PONG, TEXT

#: What a client may offer: takeover and windows, each way.
OFFERS: list[dict[str, Any]] = [
    {},
    {"client_no_context_takeover": True},
    {"server_no_context_takeover": True},
    {"client_max_window_bits": 9, "server_max_window_bits": 9},
    {"client_max_window_bits": 12},
    {"server_max_window_bits": 15, "client_no_context_takeover": True},
]


def messages() -> list[str | bytes]:
    rng = Random(4)
    words = ["lorem", "ipsum", "dolor", "äöü", "€", "😀"]
    texts = [" ".join(rng.choice(words) for _ in range(count)) for count in (0, 1, 5, 100, 5000)]
    return [*texts, b"", b"\0\xff", rng.randbytes(3000), bytes(100_000), texts[3], "a" * 70_000]


def accept(request: bytes) -> tuple[bytes, DeflateParameters | None]:
    """The 101 that answers a client's request, and what was agreed on."""
    parser = RequestParser(HTTP1Limits())
    parser.feed(request)
    assert parser.next_event() == HEAD
    handshake = check_handshake(parser.head)
    fields = [b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade"]
    fields.append(b"Sec-WebSocket-Accept: " + accept_value(handshake.key))
    deflate = negotiate(handshake.extension_offers)
    if deflate is not None:
        fields.append(b"Sec-WebSocket-Extensions: " + deflate.response_field())
    if handshake.subprotocols:
        fields.append(b"Sec-WebSocket-Protocol: " + handshake.subprotocols[-1].encode())
    return b"\r\n".join((*fields, b"", b"")), deflate


def received(connection: Any, data: bytes) -> list[tuple[int, Any]]:
    connection.feed(data)
    seen: list[tuple[int, Any]] = []
    while (event := connection.next_event()) != NEED_DATA:
        if event in (TEXT, BINARY):
            seen.append((event, connection.message))
        elif event == CLOSE:
            seen.append((event, (connection.close_code, connection.close_reason)))
        else:
            seen.append((event, connection.payload))
    return seen


def kind(message: str | bytes) -> int:
    return TEXT if isinstance(message, str) else BINARY


@pytest.mark.parametrize("offer", [None, *OFFERS], ids=str)
def test_websockets(room: Callable[[str], ModuleType], offer: dict[str, Any] | None) -> None:
    extensions = None if offer is None else [ClientPerMessageDeflateFactory(**offer)]
    client = ClientProtocol(parse_uri("ws://a/"), extensions=extensions, subprotocols=["x", "y"], max_size=None)  # type: ignore[arg-type]
    client.send_request(client.connect())
    response, deflate = accept(b"".join(client.data_to_send()))
    client.receive_data(response)
    assert client.state is State.OPEN
    assert client.subprotocol == "y"
    assert (deflate is None) == (offer is None)
    assert len(client.extensions) == (offer is not None)
    client.events_received()
    connection = room("websocket.connection").WebSocketConnection(WebSocketLimits(), deflate)

    for message in messages() * 2:
        if isinstance(message, str):
            client.send_text(message.encode())
        else:
            client.send_binary(message)
        assert received(connection, b"".join(client.data_to_send())) == [(kind(message), message)]
        client.receive_data(b"".join(connection.send_message(message)))
        (frame,) = client.events_received()
        assert isinstance(frame, Frame)
        assert frame.opcode == (Opcode.TEXT if isinstance(message, str) else Opcode.BINARY)
        assert bytes(frame.data) == (message.encode() if isinstance(message, str) else message)

    client.send_text(b"ab", fin=False)
    client.send_ping(b"p")
    client.send_continuation(b"cd" * 100, fin=True)
    assert received(connection, b"".join(client.data_to_send())) == [(PING, b"p"), (TEXT, "ab" + "cd" * 100)]
    client.receive_data(connection.send_pong(b"p") + connection.send_ping(b"q"))
    pong, ping = client.events_received()
    assert (pong.opcode, ping.opcode) == (Opcode.PONG, Opcode.PING)  # type: ignore[union-attr]
    assert received(connection, b"".join(client.data_to_send())) == [(PONG, b"q")]

    client.receive_data(connection.send_close(4000, "that is all"))
    assert (client.close_rcvd.code, client.close_rcvd.reason) == (4000, "that is all")  # type: ignore[union-attr]
    assert received(connection, b"".join(client.data_to_send())) == [(CLOSE, (4000, "that is all"))]


@pytest.mark.parametrize("offer", [None, *OFFERS[:3], {"client_max_window_bits": 9, "server_max_window_bits": 9}], ids=str)
def test_wsproto(room: Callable[[str], ModuleType], offer: dict[str, Any] | None) -> None:
    client = WSConnection(ConnectionType.CLIENT)
    extensions = [] if offer is None else [PerMessageDeflate(**offer)]
    response, deflate = accept(client.send(Request(host="a", target="/", extensions=extensions)))  # type: ignore[arg-type]
    client.receive_data(response)
    (accepted,) = client.events()
    assert isinstance(accepted, AcceptConnection)
    assert (deflate is None) == (offer is None)
    connection = room("websocket.connection").WebSocketConnection(WebSocketLimits(), deflate)

    for message in messages() * 2:
        event = TextMessage(message) if isinstance(message, str) else BytesMessage(message)
        assert received(connection, client.send(event)) == [(kind(message), message)]
        client.receive_data(b"".join(connection.send_message(message)))
        whole: Any = "" if isinstance(message, str) else b""
        for part in client.events():
            assert isinstance(part, TextMessage if isinstance(message, str) else BytesMessage)
            whole += part.data
        assert whole == message
        assert part.message_finished  # type: ignore[union-attr]

    fragments = client.send(TextMessage("ab", message_finished=False)) + client.send(Ping(b"p")) + client.send(TextMessage("cd"))
    assert received(connection, fragments) == [(PING, b"p"), (TEXT, "abcd")]
    client.receive_data(connection.send_pong(b"p"))
    assert list(client.events()) == [Pong(b"p")]

    answer = received(connection, client.send(CloseConnection(code=1001, reason="bye")))
    assert answer == [(CLOSE, (1001, "bye"))]
    client.receive_data(connection.send_close(connection.close_code, connection.close_reason))
    assert list(client.events()) == [CloseConnection(code=1001, reason="bye")]


def test_wsproto_judges_the_same_close_codes(room: Callable[[str], ModuleType]) -> None:
    # Our server's word against another server's, on what a client may say.
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 4999, 999, 1004, 1005, 1006, 1015):
        server = Connection(ConnectionType.SERVER)
        frame = b"\x88\x82\0\0\0\0" + code.to_bytes(2, "big")
        reader = room("websocket.reader").MessageReader(1000, None)
        reader.feed(frame)
        verdict = ""
        try:
            assert reader.next_event() == CLOSE
        except WebSocketError as error:
            verdict = error.code
        server.receive_data(frame)
        (event,) = server.events()
        allowed = isinstance(event, CloseConnection) and event.code == code
        assert verdict == ("" if allowed else "CLOSE_CODE"), code
