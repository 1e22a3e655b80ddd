"""A Flask application, a WSGI one: served with `--interface wsgi`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from flask import Flask, Response, jsonify, request
from probe import PROBE_PATH, report

app = Flask(__name__)


@app.get("/")
def index() -> Any:
    return jsonify(greeting="hello", scheme=request.scheme, multithread=request.environ["wsgi.multithread"])


@app.get(PROBE_PATH)
def probe() -> Any:
    return jsonify(report())


@app.route("/method", methods=["GET", "HEAD", "PUT", "DELETE"])
def method() -> Any:
    return request.method


@app.post("/form")
def form() -> Any:
    return jsonify(request.form.to_dict())


@app.post("/digest")
def digest() -> Any:
    sha = hashlib.sha256()
    while piece := request.stream.read(65536):
        sha.update(piece)
    return jsonify(sha256=sha.hexdigest())


@app.post("/upload")
def upload() -> Any:
    content = request.files["file"].read()
    return jsonify(note=request.form["note"], size=len(content), sha256=hashlib.sha256(content).hexdigest())


@app.get("/stream")
def stream() -> Response:
    def lines() -> Iterator[bytes]:
        for number in range(100):
            yield b"%d\n" % number

    return Response(lines(), mimetype="text/plain")


@app.get("/cookies")
def cookies() -> Response:
    response = jsonify(request.cookies.to_dict())
    response.set_cookie("first", "1")
    response.set_cookie("second", "2")
    return response


@app.get("/bug")
def bug() -> None:
    raise RuntimeError("on purpose")
