"""A web server of this machine for files by URL, with servers' bad habits on request."""

from __future__ import annotations

import http.server
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass
class Web:
    """The server of one folder."""

    address: str
    """'http://127.0.0.1:PORT'."""
    flaky: dict[str, int] = field(default_factory=dict)
    """Path -> how many GETs are answered with 503 first; -1: all."""
    cut: set[str] = field(default_factory=set)
    """Paths whose answer ends in the middle."""
    closed: set[str] = field(default_factory=set)
    """Paths that need ?sig=SECRET."""
    no_head: bool = False
    """HEAD is refused, as by an address that was signed for GET."""
    asked: Counter[str] = field(default_factory=Counter)
    """'GET /path' -> times."""


@contextmanager
def serving(folder: Path) -> Iterator[Web]:
    """Serve a folder."""
    web = Web("")

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            parts = urlsplit(self.path)
            path = unquote(parts.path)
            web.asked[f"{self.command} {path}"] += 1
            file = folder / path.lstrip("/")
            if web.no_head and not body:
                return self.refuse(405)
            if path in web.closed and "sig=SECRET" not in parts.query:
                return self.refuse(403)
            if body and web.flaky.get(path):
                web.flaky[path] -= 1
                return self.refuse(503)
            if not file.is_file():
                return self.refuse(404)
            data = file.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("ETag", f'"{hash(data):x}"')
            if path in web.cut:
                self.send_header("Connection", "close")
            self.end_headers()
            if body:
                self.wfile.write(data[: len(data) // 2] if path in web.cut else data)
            if path in web.cut:
                self.close_connection = True
            return None

        def refuse(self, code: int) -> None:
            self.send_response(code)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    web.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
