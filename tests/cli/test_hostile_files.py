"""Files that a user names may hold anything: every reader says what is wrong with one message, and none ends in a traceback."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clips import write
from support.runs import run
from support.videos import stamped

from lipsync_eval.cli import run as cli
from lipsync_eval.files import parse_json, parse_toml

ROOT = Path(__file__).parents[2]
DEEP = 100_000
BODIES = {
    "empty": b"",
    "zeros": b"\0" * 50,
    "utf-16": "a = 1\na,b\n".encode("utf-16"),
    "latin-1": b"\xe9\xff = 1",
    "deep list": b"[" * DEEP + b"]" * DEEP,
    "deep object": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep array of TOML": b"a = " + b"[" * DEEP + b"]" * DEEP,
    "deep table of TOML": b"a = " + b"{a=" * 3000 + b"1" + b"}" * 3000,
    "large number": b'{"x": ' + b"9" * 5000 + b"}",
    "large number of TOML": b"x = " + b"9" * 5000,
    "not a number": b'{"x": NaN, "y": Infinity}',
    "list": b"[1, 2]",
    "null": b"null",
    "half a letter": b'{"a":"\\ud800", "b":["\\udfff"]}',
    "large cell": b'gen,gt\n"' + b"x" * 200_000 + b'"',
    "open quote": b'gen,gt\na,"b',
    "escapes": b"\x1b[31m,\x1b[2J\n1,2\n",
}
_SCORE = "score gt/a.mkv gt/a.mkv --no-cache --quiet --overwrite --out out --protocol"
READERS = {
    "results.json": "table FILE",
    "base.json": "gate run --baseline FILE",
    "history.json": "export FOLDER --to csv",
    "layout.toml": "table run --layout FILE",
    "mine.toml": f"{_SCORE} FILE --metrics psnr",
    "cluster.toml": f"{_SCORE} raw --metrics psnr --cluster local:1 --cluster-options FILE",
    "lipsync-eval.toml": "list metrics",
    "pyproject.toml": "list metrics",
    "baselines.toml": "baselines check wav2lip --config FILE",
    "pairs.csv": f"{_SCORE} raw --metrics psnr --pairs FILE",
    "manifest.csv": "watch gt --run true --data FILE --once --settle 0 --out watched --quiet",
    "mos.csv": "correlate FILE run",
    "key.json": "correlate FILE run",
    "answers.json": "study collect FILE FILE",
    "words.json": "figure run --clip a --view frame --at 0 --overwrite --words FILE",
    "words.csv": "figure run --clip a --view frame --at 0 --overwrite --words FILE",
    "words.TextGrid": "figure run --clip a --view frame --at 0 --overwrite --words FILE",
    "constants.json": f"{_SCORE} raw --metrics stylesim_points68 --option style_constants.points68=FILE",
    "stats.npz": f"{_SCORE} raw --metrics psnr --fid-stats FILE",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    write(root / "gt" / "a.mkv", [stamped(i) for i in range(3)])
    (root / "run").mkdir()
    (root / "run" / "results.json").write_text(run("run", {"psnr": [30.0, 31.0]}).to_json(), "utf-8")
    return root


@pytest.fixture
def folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(place)
    before = set(place.rglob("*"))
    yield place
    for path in sorted(set(place.rglob("*")) - before, reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("name", READERS)
def test_a_hostile_file_is_refused_in_words(
    folder: Path, name: str, body: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if (name, body) == ("cluster.toml", "empty"):
        pytest.skip("an empty file is a good one: a cluster would start")
    file = folder / "theirs" / name if "toml" not in name or name in ("layout.toml", "mine.toml") else folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(BODIES[body])
    code = cli([word.replace("FILE", str(file)).replace("FOLDER", str(file.parent)) for word in READERS[name].split()])
    said = capsys.readouterr()
    assert code in (0, 2, 3), said.err
    assert "Traceback" not in said.err and "\x1b" not in said.out + said.err
    assert code == 0 or "rror: " in said.err or "NOT" in said.out or "failed:" in said.out, said


def test_deep_nesting_is_a_value_error() -> None:
    for parse, kinds in ((parse_json, ("deep list", "deep object")), (parse_toml, ("deep array of TOML",))):
        for kind in kinds:
            with pytest.raises(ValueError, match="nested too deeply"):
                parse(BODIES[kind].decode("ascii"))


OWN = {
    "lipsync_eval/files.py": "the readers themselves",
    "lipsync_eval/schemas/__init__.py": "comes with the package",
    "lipsync_eval/weights/registry.py": "comes with the package",
    "baselines/personatalk/geometry/topology.py": "comes with the package",
    "lipsync_eval/engine/network_process.py": "between our own processes",
    "lipsync_eval/engine/workers.py": "between our own processes",
    "lipsync_eval/torch/child.py": "between our own processes",
    "baselines/process.py": "between our own processes",
    "baselines/supervisor.py": "between our own processes",
}


def test_no_other_reader_of_json_or_toml() -> None:
    for room in ("lipsync_eval", "baselines", "protocols", "reports"):
        for file in (ROOT / room).rglob("*.py"):
            found = re.search(r"\b(json\.loads?|tomllib\.loads?)\(", file.read_text("utf-8"))
            assert not found or str(file.relative_to(ROOT)) in OWN, file
