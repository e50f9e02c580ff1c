"""Facts of a metric are written with its score, and read from there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.runs import run

from lipsync_eval.errors import ParseError
from lipsync_eval.metrics.registry import specs
from lipsync_eval.reports.gate import compare
from lipsync_eval.reports.render import as_text
from lipsync_eval.reports.table import build
from lipsync_eval.results.facts import UNRANKED, facts_of
from lipsync_eval.results.schema import Result, load_result


def test_every_metric_has_its_facts_from_its_spec() -> None:
    for name, spec in specs().items():
        facts = facts_of(name)
        assert facts is not None
        assert (facts.title, facts.decimals, facts.direction, facts.unit) == (
            spec.title,
            spec.decimals,
            spec.direction,
            spec.unit,
        )
        assert facts.ranked == (name not in UNRANKED)
    assert facts_of("nobody") is None
    assert set(specs()) >= UNRANKED


def test_a_family_is_one_whatever_module_it_lies_in() -> None:
    by_family: dict[str, set[str]] = {}
    for name in specs():
        by_family.setdefault(facts_of(name).family, set()).add(name)  # type: ignore[union-attr]
    assert {"psnr", "psnr_pooled", "psnr_uint8wrap"} in by_family.values()
    assert {"lmd", "lmd_centered", "lmd_norm", "f_lmd", "lmd_atvg_sum"} in by_family.values()
    assert {"lse_c", "lse_d", "av_offset"} in by_family.values()


def test_schema_2_states_every_fact(tmp_path: Path) -> None:
    data = json.loads(run("a", {"psnr": [30.0], "av_offset": [-2.0]}).to_json())
    assert data["schema"] == 2
    psnr, offset = data["scores"]
    assert (psnr["title"], psnr["decimals"], psnr["direction"], psnr["unit"]) == ("PSNR", 3, "up", "dB")
    assert psnr["mean_abs"] is None
    assert (offset["value"], offset["mean_abs"]) == (-2.0, 2.0)


def old_file(tmp_path: Path, metric: str, **change: object) -> Path:
    """A file of schema 1 with one metric."""
    data = json.loads(run("a", {"psnr": [30.0, 31.0]}).to_json())
    data["schema"] = 1
    score = data["scores"][0]
    for name in ("title", "decimals", "family", "ranked", "mean_abs", "resample"):
        del score[name]
    score |= {"metric": metric, **change}
    for clip in data["clips"]:
        clip["values"] = {metric: clip["values"]["psnr"]}
    folder = tmp_path / metric / str(len(list(tmp_path.rglob("results.json"))))
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(data))
    return folder


def test_schema_1_is_read_with_the_registrys_facts(tmp_path: Path) -> None:
    score = load_result(old_file(tmp_path, "psnr"))["psnr"]
    assert (score.title, score.decimals, score.family) == ("PSNR", 3, facts_of("psnr").family)  # type: ignore[union-attr]
    offset = load_result(old_file(tmp_path, "av_offset", direction="zero", unit="frames"))["av_offset"]
    assert offset.mean_abs == 30.5


def test_an_unknown_metric_without_a_direction_is_not_ranked(tmp_path: Path) -> None:
    old = old_file(tmp_path, "acme", direction=None)
    runs = [load_result(old).renamed(name) for name in "ab"]
    assert runs[0]["acme"].direction is None
    table = build(runs)
    assert not any(c.best or c.second for r in table.rows for c in r.cells.values())
    assert "No mark for acme: neither direction is known to be better." in as_text(table)
    known = load_result(old_file(tmp_path, "acme", direction="down"))
    assert known["acme"].direction == "down", "what the file says stands"
    both = [load_result(old_file(tmp_path, m)) for m in ("psnr", "psnr")]
    assert compare(*both).rows[0].title == "PSNR"


def test_deep_nesting_is_a_parse_error(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("[" * 100_000)
    with pytest.raises(ParseError, match="cannot be read as JSON"):
        Result.load(tmp_path)
