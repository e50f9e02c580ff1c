"""The command: what it writes, what falls and what grows, failures, determinism."""

import csv
import json

import pytest
from support.avhubert import TINY, needs_golden
from support.clips import frames, sound, write

from lipsync_eval.cli import run


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    write(folder / "a.mkv", frames(8, seed=0), sound(8, 0))
    write(folder / "b.mkv", frames(8, seed=1), sound(8, 1))
    return folder


def _run(clips, out, *more):
    return run(["sensitivity", str(clips), "--out", str(out), "--quiet", "--no-cache", *more])


def _rows(out):
    with (out / "sensitivity.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def _means(out, metric, perturbation):
    held = json.loads((out / "sensitivity.json").read_text())
    chosen = [m for m in held["means"] if (m["metric"], m["perturbation"]) == (metric, perturbation)]
    return [m["value"] for m in sorted(chosen, key=lambda m: m["strength"])]


def test_psnr_falls_and_lmd_grows(clips, tmp_path, capsys):
    more = (
        "--perturb",
        "shift,blur",
        "--grades",
        "shift=1,3,6",
        "--grades",
        "blur=0.5,2,4",
        "--metrics",
        "psnr,lmd",
        "--protocol",
        "raw",
    )
    assert _run(clips, tmp_path / "out", *more) == 0
    out = tmp_path / "out"
    for damage in ("shift", "blur"):
        psnr = [100.0, *_means(out, "psnr", damage)]
        assert psnr == sorted(psnr, reverse=True)
        assert len(set(psnr)) == 4
    lmd = [0.0, *_means(out, "lmd", "shift")]
    assert lmd == sorted(lmd)
    assert lmd[3] == pytest.approx(6, abs=1.5), "frames are 256 px wide, so a shift of 6 px is 6 px"
    assert _means(out, "psnr", "none") == [100.0]
    rows = _rows(out)
    assert len(rows) == (1 + 3 + 3) * 2 * 2
    assert list(rows[0]) == ["perturbation", "strength", "unit", "clip", "metric", "value", "error"]
    for suffix, magic in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
        assert (out / f"sensitivity.{suffix}").read_bytes().startswith(magic)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split() == ["damage", "psnr", "lmd"]
    assert printed[1].split()[:2] == ["none", "100.000"]
    held = json.loads((out / "sensitivity.json").read_text())
    assert "proto:raw" in held["metrics"][0]["signature"]
    assert held["metrics"][1]["direction"] == "down"


def test_two_runs_with_any_number_of_workers_give_the_same_bytes(clips, tmp_path, capsys):
    more = ("--perturb", "recode,delay", "--metrics", "psnr,mouth_audio_corr", "--protocol", "raw")
    few = ("--grades", "recode=30", "--grades", "delay=2")
    for n in (1, 2):
        run(
            ["sensitivity", str(clips), "--out", str(tmp_path / str(n)), "--no-cache", *more, *few, "--workers", str(n)]
        )
        said = capsys.readouterr().err
        assert "clips/min" in said and "earlier" not in said
    for suffix in ("csv", "png", "pdf"):
        first, second = ((tmp_path / str(n) / f"sensitivity.{suffix}").read_bytes() for n in (1, 2))
        assert first == second, suffix
    one, two = (json.loads((tmp_path / str(n) / "sensitivity.json").read_text()) for n in (1, 2))
    assert {**one, "run": None} == {**two, "run": None}
    assert _means(tmp_path / "1", "psnr", "delay") == [100.0], "delay leaves frames alone"


def test_a_clip_that_fails_is_a_row_without_a_value(clips, tmp_path, capsys):
    folder = tmp_path / "mixed"
    write(folder / "loud.mkv", frames(5), sound(5))
    write(folder / "mute.mkv", frames(5))
    assert (
        _run(
            folder,
            tmp_path / "out",
            "--perturb",
            "delay",
            "--grades",
            "delay=1",
            "--metrics",
            "psnr",
            "--protocol",
            "raw",
        )
        == 3
    )
    mute = [r for r in _rows(tmp_path / "out") if r["clip"] == "mute"]
    assert [r["value"] != "" for r in mute] == [True, False]
    assert "no audio" in mute[1]["error"]
    means = json.loads((tmp_path / "out" / "sensitivity.json").read_text())["means"]
    assert [(m["n_scored"], m["n_asked"]) for m in means] == [(2, 2), (1, 2)]
    printed = capsys.readouterr().out
    assert "100.000*" in printed
    assert "* mean over fewer clips" in printed


@needs_golden
def test_pooled_metrics_have_one_row_for_all_clips(clips, tmp_path):
    more = (
        "--perturb",
        "blur",
        "--grades",
        "blur=2",
        "--metrics",
        "avs_v,avs_v_frameweighted",
        "--option",
        "roi=center88",
    )
    assert _run(clips, tmp_path / "out", *more, "--weights", f"avhubert={TINY}") == 0
    means = {
        (m["metric"], m["perturbation"]): m
        for m in json.loads((tmp_path / "out" / "sensitivity.json").read_text())["means"]
    }
    pooled, mean = means["avs_v_frameweighted", "blur"], means["avs_v", "blur"]
    assert pooled["value"] == pytest.approx(mean["value"], abs=1e-12), "both clips are equally long"
    assert (pooled["n_scored"], mean["n_scored"]) == (1, 2)
    assert {r["clip"] for r in _rows(tmp_path / "out") if r["metric"] == "avs_v_frameweighted"} == {""}


def test_a_used_folder_is_refused(clips, tmp_path, capsys):
    more = ("--perturb", "blur", "--grades", "blur=1", "--metrics", "psnr", "--protocol", "raw")
    (tmp_path / "sensitivity.csv").write_text("mine")
    assert _run(clips, tmp_path, *more) == 2
    assert "it holds sensitivity.csv" in capsys.readouterr().err
    assert (tmp_path / "sensitivity.csv").read_text() == "mine"
    assert _run(clips, tmp_path, *more, "--overwrite") == 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--perturb", "twist"), "choose out of: shift, rotate"),
        (("--metrics", "psnrr"), "Did you mean"),
        (("--grades", "blur"), "expected NAME=A,B"),
        (("--metrics", "avs_u"), "weights pull avhubert-base-vox-433h"),
    ],
)
def test_usage_errors(clips, tmp_path, capsys, more, message):
    assert _run(clips, tmp_path / "out", *more) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("out/*"))
