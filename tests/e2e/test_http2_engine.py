"""Where libnghttp2 is gone though it was there at the build: the server says so once, at its start, and serves."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bodies import TWINS
from e2e.http2_frames import HTTP2Client, request
from e2e.serving import serving
from picocorn.http2.engine import ENGINE


@pytest.mark.skipif("native" not in TWINS or ENGINE != "nghttp2", reason="libnghttp2 is not built in")
@pytest.mark.skipif(sys.platform != "linux", reason="LD_LIBRARY_PATH is what hides the library")
def test_a_library_that_is_gone(tmp_path: Path) -> None:
    # The loader ends its search at a file that is no library.
    (tmp_path / "libnghttp2.so.14").touch()
    with serving("raw_app", body="native", env={"LD_LIBRARY_PATH": str(tmp_path)}) as server:
        assert "cannot be loaded now: serving over the package h2." in server.server.output
        assert server.request().body == b"hello"
        with server.connect() as client:
            peer = HTTP2Client(client)
            peer.send(request(1))
            assert peer.read_response(1) == (200, b"hello")
        assert server.server.output.count("libnghttp2.so.14") == 1
        assert "Traceback" not in server.server.output
