"""pull against a server on this machine: whole files, retries, resume, hashes, archives."""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.waiting import until

from lipsync_eval.errors import WeightsError
from lipsync_eval.weights import download, registry
from lipsync_eval.weights.registry import FileRow, WeightsRow

BODY = bytes(range(256)) * 4096
HASH = hashlib.sha256(BODY).hexdigest()


class Server(ThreadingHTTPServer):
    body = BODY
    etag = '"one"'
    pause = 0.0
    """Seconds between blocks of 64 kB."""
    cuts: list[int]
    """How many bytes the next answers send before they break off."""
    errors: list[int]
    """Codes of the next answers."""
    ranges: list[str | None]
    """What was asked for."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        if self.server.errors:
            self.send_error(self.server.errors.pop(0))
            return
        start = 0
        if asked and self.headers.get("If-Range") == self.server.etag:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked).group(1))  # type: ignore[union-attr]
        if asked and start >= len(self.server.body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(self.server.body)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        rest = self.server.body[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        if self.server.etag:
            self.send_header("ETag", self.server.etag)
        self.end_headers()
        if self.server.cuts:
            rest = rest[: self.server.cuts.pop(0)]
            self.close_connection = True
        for start in range(0, len(rest), 1 << 16):
            self.wfile.write(rest[start : start + (1 << 16)])
            time.sleep(self.server.pause)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as made:
        made.cuts, made.errors, made.ranges = [], [], []
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def offer(server: Server, monkeypatch: pytest.MonkeyPatch) -> Any:
    """offer(...) puts a row 'thing' with these facts into the registry."""

    def make(
        *,
        sha256: str = HASH,
        size: int | None = len(BODY),
        path: str = "thing.bin",
        urls: tuple[str, ...] | None = None,
    ) -> WeightsRow:
        url = f"http://127.0.0.1:{server.server_port}/{path}"
        entry = FileRow("main", "thing.bin", (), urls or (url,), sha256, size)
        row = replace(registry.rows()["syncnet"], name="thing", role="thing", files=(entry,), notes="Ask its author.")
        monkeypatch.setattr(download, "get_row", lambda name: row)
        return row

    return make


def pull(folder: Path, **options: Any) -> list[download.Pulled]:
    return download.pull("thing", folder=folder, pause=0.0, **options)


def test_whole_file_with_its_hash(offer: Any, tmp_path: Path) -> None:
    offer()
    seen: list[tuple[str, int, int | None]] = []
    (got,) = pull(tmp_path, report=lambda *step: seen.append(step))
    assert got.verified and got.fetched and got.sha256 == HASH
    assert got.path == tmp_path / "thing.bin" and got.path.read_bytes() == BODY
    assert seen[-1] == ("thing.bin", len(BODY), len(BODY))
    assert [p.name for p in tmp_path.iterdir()] == ["thing.bin"]


def test_what_is_here_is_not_fetched_again(offer: Any, server: Server, tmp_path: Path) -> None:
    offer()
    pull(tmp_path)
    (got,) = pull(tmp_path)
    assert not got.fetched and len(server.ranges) == 1


def test_damaged_file_is_replaced(offer: Any, tmp_path: Path) -> None:
    offer()
    (tmp_path / "thing.bin").write_bytes(b"damaged")
    (got,) = pull(tmp_path)
    assert got.fetched and got.path.read_bytes() == BODY


def test_broken_transfer_goes_on_where_it_stopped(offer: Any, server: Server, tmp_path: Path) -> None:
    offer()
    server.cuts = [300_000, 100_000]
    (got,) = pull(tmp_path)
    assert got.path.read_bytes() == BODY
    assert server.ranges == [None, "bytes=300000-", "bytes=400000-"]


def test_resume_in_a_later_call(offer: Any, server: Server, tmp_path: Path) -> None:
    offer()
    server.cuts = [100_000] * download.TRIES
    with pytest.raises(WeightsError, match="call again to go on"):
        pull(tmp_path)
    assert not (tmp_path / "thing.bin").exists()
    (got,) = pull(tmp_path)
    assert got.path.read_bytes() == BODY and server.ranges[-1] == "bytes=400000-"


def test_changed_file_is_not_glued_to_the_old_half(offer: Any, server: Server, tmp_path: Path) -> None:
    offer()
    server.cuts = [300_000]
    server.body, old = b"y" * len(BODY), server.body

    def swap() -> None:
        server.body, server.etag = old, '"two"'

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(download.time, "sleep", lambda _s: swap())
        (got,) = pull(tmp_path)
    assert got.path.read_bytes() == BODY and server.ranges == [None, "bytes=300000-"]


def test_server_without_etag_starts_afresh(offer: Any, server: Server, tmp_path: Path) -> None:
    offer()
    server.etag, server.cuts = "", [300_000]
    (got,) = pull(tmp_path)
    assert got.path.read_bytes() == BODY and server.ranges == [None, None]


def test_busy_server_is_asked_again(offer: Any, server: Server, tmp_path: Path) -> None:
    offer()
    server.errors = [503, 429]
    assert pull(tmp_path)[0].verified


def test_not_found_is_final(offer: Any, server: Server, tmp_path: Path) -> None:
    offer()
    server.errors = [404]
    with pytest.raises(WeightsError, match="404"):
        pull(tmp_path)
    assert len(server.ranges) == 1 and not list(tmp_path.iterdir())


def test_second_address_is_tried(offer: Any, server: Server, tmp_path: Path) -> None:
    good = f"http://127.0.0.1:{server.server_port}/b"
    offer(urls=(f"http://127.0.0.1:{server.server_port}/a", good))
    server.errors = [404]
    assert pull(tmp_path)[0].verified


def test_wrong_file_is_thrown_away(offer: Any, tmp_path: Path) -> None:
    offer(sha256="0" * 64)
    with pytest.raises(WeightsError, match=f"its sha256 is {HASH}"):
        pull(tmp_path)
    assert not list(tmp_path.iterdir())


def test_first_digits_are_enough_where_no_more_are_published(offer: Any, tmp_path: Path) -> None:
    offer(sha256=HASH[:10])
    assert pull(tmp_path)[0].verified


def test_unknown_hash_is_printed_and_kept_as_unverified(offer: Any, tmp_path: Path) -> None:
    offer(sha256="", size=None)
    (got,) = pull(tmp_path)
    assert not got.verified and got.sha256 == HASH and got.path.exists()


def test_offline_fetches_nothing(offer: Any, server: Server, tmp_path: Path) -> None:
    offer()
    with pytest.raises(WeightsError, match="opens no socket"):
        pull(tmp_path, offline=True)
    assert not server.ranges


def test_no_address_says_where_to_ask(offer: Any, tmp_path: Path) -> None:
    row = offer()
    row = replace(row, files=(replace(row.files[0], urls=()),))
    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(WeightsError, match=r"Ask its author\. Then give it with --weights thing=FILE"),
    ):
        patch.setattr(download, "get_row", lambda name: row)
        pull(tmp_path)


def test_other_schemes_are_refused(offer: Any, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    offer(urls=(f"file://{tmp_path}/secret",), sha256="", size=None)
    with pytest.raises(WeightsError, match="only http and https"):
        pull(tmp_path)


def test_folder_that_cannot_be_written(offer: Any, tmp_path: Path) -> None:
    offer()
    (tmp_path / "file").write_text("")
    with pytest.raises(WeightsError, match="cannot be written"):
        pull(tmp_path / "file" / "folder")


def archive(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name.replace("__", "/"), content)
    return out.getvalue()


def test_member_of_a_zip_file(offer: Any, server: Server, tmp_path: Path) -> None:
    server.body = archive(pack__thing=BODY, pack__other=b"x", **{"..__..__evil": b"x"})
    offer(path="pack.zip#thing")
    (got,) = pull(tmp_path)
    assert got.path.read_bytes() == BODY
    assert [p.name for p in tmp_path.iterdir()] == ["thing.bin"]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"other": b"x"}, "holds 0 files called thing"),
        ({"thing": b"bomb" * 10}, "has 40 bytes, expected"),
        ({"thing": BODY[::-1]}, "its sha256 is"),
    ],
)
def test_zip_file_without_the_right_member(
    members: dict[str, bytes], message: str, offer: Any, server: Server, tmp_path: Path
) -> None:
    server.body = archive(**members)
    offer(path="pack.zip#thing")
    with pytest.raises(WeightsError, match=message):
        pull(tmp_path)
    assert not list(tmp_path.iterdir())


def test_pull_of_an_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="Did you mean syncnet"):
        download.pull("syncnett", folder=tmp_path)


def part_of(folder: Path, server: Server, body: bytes, etag: str = '"one"') -> None:
    """What a pull leaves that was killed after `body` had come."""
    mark = hashlib.sha256(f"http://127.0.0.1:{server.server_port}/thing.bin".encode()).hexdigest()[:8]
    (folder / f".thing.bin.{mark}.0a1b.part").write_bytes(body)
    (folder / f".thing.bin.{mark}.0a1b.etag").write_text(etag)


def test_killed_between_the_last_byte_and_the_name(offer: Any, server: Server, tmp_path: Path) -> None:
    """The server answers 416 to what lies beyond the end: the part is whole, and is taken."""
    offer()
    part_of(tmp_path, server, BODY)
    assert pull(tmp_path)[0].verified and server.ranges == [f"bytes={len(BODY)}-"]
    assert [p.name for p in tmp_path.iterdir()] == ["thing.bin"]


@pytest.mark.parametrize("body", [BODY + b"more", BODY[::-1], b"x" * 1000])
def test_a_part_of_another_file_is_dropped(body: bytes, offer: Any, server: Server, tmp_path: Path) -> None:
    """Longer than the file (416), as long (416, another hash), shorter (206, glued to a wrong half): fetched from the start."""
    offer()
    part_of(tmp_path, server, body)
    assert pull(tmp_path)[0].path.read_bytes() == BODY and server.ranges[-1] is None
    assert [p.name for p in tmp_path.iterdir()] == ["thing.bin"]


@pytest.mark.parametrize("sha256", [HASH, ""])
def test_two_at_once_both_end_with_the_true_file(sha256: str, offer: Any, server: Server, tmp_path: Path) -> None:
    offer(sha256=sha256, size=len(BODY) if sha256 else None)
    server.pause = 0.01
    script = f"""
import sys, time
from dataclasses import replace
from pathlib import Path
from lipsync_eval.weights import download, registry
entry = registry.FileRow("main", "thing.bin", (), ("http://127.0.0.1:{server.server_port}/thing.bin",), {sha256!r}, None)
row = replace(registry.rows()["syncnet"], name="thing", role="thing", files=(entry,))
download.get_row = lambda name: row
time.sleep(float(sys.argv[1]))
print(download.pull("thing", folder=Path({str(tmp_path)!r}), pause=0.05)[0].sha256)
"""
    started = [
        subprocess.Popen([sys.executable, "-c", script, delay], stdout=subprocess.PIPE, text=True)
        for delay in ("0", "0", "0.1")
    ]
    assert [process.communicate()[0].strip() for process in started] == [HASH] * 3
    assert [p.name for p in tmp_path.iterdir()] == ["thing.bin"] and (tmp_path / "thing.bin").read_bytes() == BODY
    assert len(server.ranges) == 1, "one of them fetched it, the others found it"


@pytest.mark.parametrize("stop", [0.02, 0.1])
def test_a_killed_pull_is_finished_by_the_next(stop: float, offer: Any, server: Server, tmp_path: Path) -> None:
    offer()
    server.pause = 0.01
    script = f"""
from dataclasses import replace
from pathlib import Path
from lipsync_eval.weights import download, registry
entry = registry.FileRow("main", "thing.bin", (), ("http://127.0.0.1:{server.server_port}/thing.bin",), "", None)
row = replace(registry.rows()["syncnet"], name="thing", role="thing", files=(entry,))
download.get_row = lambda name: row
download.pull("thing", folder=Path({str(tmp_path)!r}))
"""
    process = subprocess.Popen([sys.executable, "-c", script])
    until(lambda: server.ranges, "the first request")
    time.sleep(stop)
    process.kill()
    process.wait()
    assert not (tmp_path / "thing.bin").exists()
    assert pull(tmp_path)[0].path.read_bytes() == BODY
    assert [p.name for p in tmp_path.iterdir()] == ["thing.bin"]


PAGES = [
    b"<!DOCTYPE html><html><body>Sign in to the campus network</body></html>",
    b"\xef\xbb\xbf\n<HTML>",
    b'{"error": "quota"}',
    b"",
]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("sha256", [HASH, ""])
def test_a_login_page_is_no_weights(page: bytes, sha256: str, offer: Any, server: Server, tmp_path: Path) -> None:
    offer(sha256=sha256, size=None)
    server.body = page
    with pytest.raises(WeightsError, match=r"web page|text and no weights|empty"):
        pull(tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / "thing.bin").write_bytes(page)  # as an earlier version kept it
    server.body = BODY
    assert pull(tmp_path)[0].path.read_bytes() == BODY


def test_a_torn_checkpoint_without_a_known_hash_is_not_kept(offer: Any, server: Server, tmp_path: Path) -> None:
    offer(sha256="", size=None)
    server.body = archive(pack__data=BODY)[:-30]
    with pytest.raises(WeightsError, match="its end is missing"):
        pull(tmp_path)
    assert not list(tmp_path.iterdir())
