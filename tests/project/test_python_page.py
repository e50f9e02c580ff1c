"""The examples of docs/python.md run, in order, on the demo's clips."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lipsync_eval.demo import make_demo

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


def test_every_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_demo(tmp_path / "demo")
    space: dict[str, object] = {}
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert len(examples) == 5
    for example in examples:
        exec(compile(example, str(PAGE), "exec"), space)
    out = capsys.readouterr().out
    assert "psnr (dB)" in out and "PSNR|agg:clip-mean" in out
    assert "again against gen: passed" in out or "gen against gen: passed" in out
    assert list(space["again"].scores_frame().index) == ["psnr", "ssim"]  # type: ignore[attr-defined]


def test_the_page_names_everything_that_the_package_offers() -> None:
    import lipsync_eval

    text = PAGE.read_text("utf-8")
    for name in set(lipsync_eval.__all__) - {"__version__", "check_metric"}:
        assert re.search(rf"\b{name}\b", text), name
