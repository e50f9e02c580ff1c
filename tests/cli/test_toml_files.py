"""Every TOML file that a user gives is read by one function, with one error text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lipsync_eval.baselines.environments import read_environments
from lipsync_eval.baselines.radio import presets
from lipsync_eval.cli.project_file import find
from lipsync_eval.engine.cluster.start import ClusterAsk
from lipsync_eval.errors import ParseError
from lipsync_eval.files import read_toml
from lipsync_eval.protocols.toml_form import load
from lipsync_eval.reports.layout import get_layout

BAD = {
    "no-toml": b"x = = 1",
    "no-utf8": b'x = "\xff"',
    "deep": b"x = " + b"[" * 100_000,
    "long-number": b"x = " + b"9" * 10_000,
    "large": b"#" * ((1 << 20) + 1),
}
READERS: dict[str, Callable[[Path], object]] = {
    "cluster-options": lambda path: ClusterAsk.parse(None, "slurm:2", path),
    "layout": lambda path: get_layout(str(path)),
    "protocol": lambda path: load(path, {}),
    "baselines": read_environments,
    "configuration": lambda path: presets.load(path),
    "project file": lambda path: find(),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("bad", BAD)
def test_what_is_no_toml_file(bad: str, reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / ("lipsync-eval.toml" if reader == "project file" else "file.toml")
    path.write_bytes(BAD[bad])
    with pytest.raises(ParseError, match=r"toml: cannot be read as TOML \(.+\)") as error:
        READERS[reader](path)
    assert len(str(error.value)) < 400


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ParseError, match=r"--x .*none\.toml: cannot be read as TOML"):
        read_toml(tmp_path / "none.toml", "--x")
