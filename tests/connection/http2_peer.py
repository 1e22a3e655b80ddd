"""The client's side of an HTTP/2 connection on the bench, over the h2 package. Knows bytes and the bench, no server."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings

from picocorn.http2.codes import GOAWAY

__all__ = ["HTTP2Peer", "Response", "context_of"]


@dataclasses.dataclass
class Response:
    """What has come on one stream."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = dataclasses.field(default_factory=list)
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] = dataclasses.field(default_factory=list)
    interim: list[tuple[int, list[tuple[bytes, bytes]]]] = dataclasses.field(default_factory=list)
    ended: bool = False
    #: of a RST_STREAM
    error_code: int | None = None

    def get(self, name: bytes) -> bytes | None:
        return dict(self.headers).get(name)


def context_of(bench: Any, app: Any, **options: Any) -> Any:
    """A context whose connections speak HTTP/2 too, with the engine of the body under test."""
    from picocorn.http2.engine import new_pure_session, new_session

    protocol = bench.room("connection.http2").HTTP2Protocol
    context = bench.context(app, **options)
    context.http2 = functools.partial(protocol, context)
    context.new_http2_session = new_pure_session if protocol.__module__.endswith("_py") else new_session
    return context


class HTTP2Peer:
    """A client that has begun a connection with the preface. `settings`: as of `h2.settings`, from the start."""

    def __init__(
        self, bench: Any, app: Any, *, settings: Any = None, context: Any = None, info: Any = None, **options: Any
    ) -> None:
        self.bench = bench
        self.connection = bench.connect(app, context=context or context_of(bench, app, **options), info=info)
        self.transport = self.connection.transport
        self.conn = h2.connection.H2Connection(
            h2.config.H2Configuration(
                client_side=True, header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
            )
        )
        if settings:
            self.conn.local_settings = h2.settings.Settings(client=True, initial_values=settings)
        self.conn.initiate_connection()
        #: window credit is given as content comes
        self.takes = True
        self.streams: dict[int, Response] = {}
        self.pushed: dict[int, list[tuple[bytes, bytes]]] = {}
        #: (error code, last stream) of each
        self.goaways: list[tuple[int, int]] = []
        self._input = b""
        self.pings = 0
        self.flush()

    # -- requests

    def flush(self) -> None:
        """Send what there is to send."""
        data = self.conn.data_to_send()
        if data and not self.transport.closing:
            self.connection.send(data)

    def head(self, path: bytes = b"/", *fields: tuple[bytes, bytes], method: bytes = b"GET", end: bool = True) -> int:
        """Begin a request, without sending it yet. Returns its stream."""
        stream_id: int = self.conn.get_next_available_stream_id()
        control = [(b":method", method), (b":scheme", b"http"), (b":authority", b"a"), (b":path", path)]
        self.conn.send_headers(stream_id, control + list(fields), end_stream=end)
        self.streams[stream_id] = Response()
        return stream_id

    def get(self, path: bytes = b"/", *fields: tuple[bytes, bytes], method: bytes = b"GET") -> int:
        """Send a whole request without content."""
        stream_id = self.head(path, *fields, method=method)
        self.flush()
        return stream_id

    def post(self, content: bytes, path: bytes = b"/", *fields: tuple[bytes, bytes], end: bool = True) -> int:
        """Send a request with content."""
        stream_id = self.head(path, *fields, method=b"POST", end=False)
        self.data(stream_id, content, end)
        return stream_id

    def data(self, stream_id: int, content: bytes, end: bool = False) -> None:
        """Send content, in frames as large as allowed."""
        size = self.conn.max_outbound_frame_size
        for start in range(0, max(1, len(content)), size):
            piece = content[start : start + size]
            self.conn.send_data(stream_id, piece, end_stream=end and start + size >= len(content))
        self.flush()

    def connect_websocket(self, path: bytes = b"/", *fields: tuple[bytes, bytes], end: bool = False) -> int:
        """Send an extended CONNECT (RFC 8441)."""
        stream_id: int = self.conn.get_next_available_stream_id()
        control = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), (b":scheme", b"http"), (b":authority", b"a")]
        control += [(b":path", path), (b"sec-websocket-version", b"13")]
        self.conn.send_headers(stream_id, control + list(fields), end_stream=end)
        self.streams[stream_id] = Response()
        self.flush()
        return stream_id

    def reset(self, stream_id: int, error_code: int = 8) -> None:
        self.conn.reset_stream(stream_id, error_code)
        self.flush()

    # -- responses

    def read(self) -> bool:
        """Take what has been written. Returns whether there was something."""
        data = self.connection.output()
        self._input += data
        while len(self._input) >= 9 and len(self._input) >= (size := 9 + int.from_bytes(self._input[:3], "big")):
            frame, self._input = self._input[:size], self._input[size:]
            if frame[3] == GOAWAY:
                # h2 would take no more after it, where streams go on (RFC 9113 6.8).
                self.goaways.append((int.from_bytes(frame[13:17], "big"), int.from_bytes(frame[9:13], "big")))
            else:
                for event in self.conn.receive_data(frame):
                    self._take(event)
        self.flush()
        return bool(data)

    async def settle(self) -> None:
        """Until neither side has anything to do."""
        for _ in range(200):
            await self.bench.settle()
            if not self.read():
                return
        raise AssertionError("the connection does not come to rest")

    async def response(self, stream_id: int) -> Response:
        """What has come on that stream, once nothing happens any more."""
        await self.settle()
        return self.streams[stream_id]

    async def advance(self, seconds: float) -> None:
        await self.bench.advance(seconds)
        await self.settle()

    def _take(self, event: Any) -> None:
        stream = self.streams.get(getattr(event, "stream_id", 0))
        if isinstance(event, h2.events.PushedStreamReceived):
            self.streams[event.pushed_stream_id] = Response()
            self.pushed[event.pushed_stream_id] = [(bytes(name), bytes(value)) for name, value in event.headers]
        elif isinstance(event, h2.events.PingAckReceived):
            self.pings += 1
        elif stream is None:
            return
        elif isinstance(event, h2.events.InformationalResponseReceived):
            (_, status), *fields = event.headers
            stream.interim.append((int(status), fields))
        elif isinstance(event, h2.events.ResponseReceived):
            (_, status), *stream.headers = event.headers
            stream.status = int(status)
        elif isinstance(event, h2.events.DataReceived):
            stream.body += event.data
            if self.takes:
                self.conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            stream.trailers = list(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            stream.ended = True
        elif isinstance(event, h2.events.StreamReset):
            stream.error_code = event.error_code
