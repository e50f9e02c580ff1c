"""`lipsync-eval export`: each format is read back by its own program, and every value has its signature beside it."""

from __future__ import annotations

import csv
import io
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.runs import run as made_run

from lipsync_eval.cli import run
from lipsync_eval.results.history import History, HistoryRow, save_history
from lipsync_eval.results.rows import Score
from lipsync_eval.results.schema import Result

pytestmark = pytest.mark.filterwarnings("ignore")  # the trackers' own
NAME = 'ours {x} <b> "q" \u2028|é'
PSNR = [30.0, 31.0, 33.00000000001, None]


def tracker(module: str) -> Any:
    """A tracker's own package; where it must be there (tox -e trackers), its absence fails."""
    if os.environ.get("REQUIRE_TRACKERS"):
        import importlib

        return importlib.import_module(module)
    return pytest.importorskip(module, reason=f"{module} is not installed; tox -e trackers runs this")


@pytest.fixture
def one(tmp_path: Path) -> Path:
    result = made_run(
        NAME,
        {"psnr": PSNR, "av_offset": [1.0, -1.0, 2.0, -4.0], "lse_c": [5.0, 6.0, 7.0, 8.5], "lmd": [None] * 3 + [1e-7],
         "ssim": [None] * 4},
        gt_values={"lse_c": [6.0, 6.5, 7.0, 7.5]},
    )  # fmt: skip
    result = result.model_copy(
        update={"scores": [s if s.metric != "ssim" else s.model_copy(update={"value": None}) for s in result.scores]}
    )
    result.save(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A history of three checkpoints, of which the second failed."""
    rows = []
    for i, (step, psnr) in enumerate(((10, [30.0, 31.0]), (20, None), (300, [32.0, None]))):
        result = made_run(f"step_{step}.pt", {"psnr": psnr}) if psnr else None
        folder = f"checkpoints/{i + 1:04d}-step_{step}.pt"
        if result is not None:
            result.save(tmp_path / "w" / folder / "run")
        rows.append(
            HistoryRow(
                checkpoint=f"step_{step}.pt",
                sha256=f"{i}",
                size=1,
                mtime_ns=i,
                folder=folder,
                started="",
                status="scored" if result else "failed",
                reason="" if result else "exit code 7",
                scores=result.scores if result else [],
            )
        )
    history = History(checkpoints="/ck", order="name", command="x", manifest="/m", plan={}, rows=rows)
    save_history(history, tmp_path / "w")
    return tmp_path / "w"


def scores(folder: Path) -> list[Score]:
    return Result.load(folder).scores


def export(*arguments: object) -> str:
    """What the command prints, run as a user does."""
    line = [sys.executable, "-m", "lipsync_eval", "export", *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_csv_of_a_run(one: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", str(one), "--to", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [r["metric"] for r in rows] == [s.metric for s in scores(one)]
    for row, score in zip(rows, scores(one), strict=True):
        assert (float(row["value"]) if row["value"] else None) == score.value and row["signature"] == score.signature
        assert row["checkpoint"] == NAME and row["n_asked"] == "4"
    assert rows[1]["mean_abs"] == "2.0"


def test_csv_of_a_history_is_its_table(many: Path, tmp_path: Path) -> None:
    assert run(["export", str(many), "--to", "csv", "--out", str(tmp_path / "t.csv")]) == 0
    found = list(csv.DictReader(io.StringIO((tmp_path / "t.csv").read_text())))
    kept = list(csv.DictReader(io.StringIO((many / "history.csv").read_text())))
    assert [{**r, "run": ""} for r in found] == [{**r, "run": ""} for r in kept]
    assert [(r["step"], r["value"], r["reason"]) for r in found] == [
        ("10", "30.5", ""), ("20", "", "exit code 7"), ("300", "32.0", ""),
    ]  # fmt: skip
    assert run(["export", str(many), "--to", "csv", "--out", str(tmp_path / "t.csv")]) == 2


def test_model_card_is_yaml_with_signatures(one: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yaml = pytest.importorskip("yaml")
    assert run(["export", str(one), "--to", "hf-model-card", "--dataset", 'HDTF: "50" clips #1']) == 0
    shown = capsys.readouterr()
    data = yaml.safe_load(shown.out.removeprefix("---\n").removesuffix("---\n"))
    (model,) = data["model-index"]
    (result,) = model["results"]
    assert model["name"] == NAME.replace("\u2028", "\\u2028") and result["dataset"]["name"] == 'HDTF: "50" clips #1'
    with_value = [s for s in scores(one) if s.value is not None]
    assert [m["type"] for m in result["metrics"]] == [s.metric for s in with_value] and "ssim" in shown.err
    for metric, score in zip(result["metrics"], with_value, strict=True):
        assert metric["value"] == score.value and isinstance(metric["value"], float)
        assert metric["args"]["signature"] == score.signature and metric["args"]["clips_asked"] == 4
    assert {m["type"]: m for m in result["metrics"]}["lmd"]["value"] == 1e-7
    assert run(["export", str(one), "--to", "hf-model-card"]) == 2


def test_model_card_is_read_by_the_hub(one: Path, many: Path, tmp_path: Path) -> None:
    hub = tracker("huggingface_hub")
    export(one, "--to", "hf-model-card", "--dataset", "HDTF", "--out", tmp_path / "README.md")
    card = hub.ModelCard.load(tmp_path / "README.md")
    found = {r.metric_type: r for r in card.data.eval_results}
    for score in scores(one):
        if score.value is not None:
            read = found.pop(score.metric)
            assert read.metric_value == score.value and read.metric_args["signature"] == score.signature
            assert read.dataset_args["real_videos_sha256"] == "real" and read.task_type == "video-to-video"
    assert not found
    newest = export(many, "--to", "hf-model-card", "--dataset", "HDTF")
    assert "step_300.pt" in newest and "step_10.pt" not in newest


def test_tensorboard_reads_its_events(one: Path, many: Path, tmp_path: Path) -> None:
    tracker("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = tmp_path / "tb"
    export(f"{one}=ours", "--to", "tensorboard", "--out", out, "--step", 7)
    events = EventAccumulator(str(out / "ours")).Reload()
    found = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    assert found["lipsync/psnr"] == [(7, pytest.approx(scores(one)[0].value, rel=1e-7))]
    assert found["lipsync_mean_abs/av_offset"] == [(7, 2.0)] and found["lipsync_real/lse_c"] == [(7, 6.75)]
    assert "lipsync/ssim" not in found
    text = events.Tensors("lipsync_signature/psnr/text_summary")[0].tensor_proto.string_val[0].decode()
    assert text.strip() == scores(one)[0].signature
    again = ["export", f"{one}=ours", "--to", "tensorboard", "--out", str(out)]
    assert run(again) == 2 and run([*again, "--overwrite"]) == 0
    export(many, "--to", "tensorboard", "--out", out)
    curve = EventAccumulator(str(out / "ck")).Reload()
    assert [(e.step, e.value) for e in curve.Scalars("lipsync/psnr")] == [(10, 30.5), (300, 32.0)]
    signed = [t.tensor_proto.string_val[0].decode() for t in curve.Tensors("lipsync_signature/psnr/text_summary")]
    assert [("n:2of2" in s, "n:1of2" in s) for s in signed] == [(True, False), (False, True)]


def test_mlflow_reads_its_store(one: Path, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.tracking import MlflowClient

    export(one, "--to", "mlflow", "--out", tmp_path / "ml", "--step", 7)
    export(many, "--to", "mlflow", "--out", tmp_path / "ml")
    client = MlflowClient((tmp_path / "ml").as_uri())
    experiment = client.get_experiment_by_name("lipsync-eval")
    runs = {r.info.run_name: r for r in client.search_runs([experiment.experiment_id])}
    single = runs[NAME.replace("\u2028", "\\u2028")]
    assert single.info.status == "FINISHED" and "lipsync/ssim" not in single.data.metrics
    for score in scores(one):
        if score.value is not None:
            (point,) = client.get_metric_history(single.info.run_id, f"lipsync/{score.metric}")
            assert (point.value, point.step) == (score.value, 7)
        assert single.data.tags[f"lipsync_signature/{score.metric}"] == score.signature
    curve = runs["ck"]
    points = client.get_metric_history(curve.info.run_id, "lipsync/psnr")
    assert [(p.step, p.value) for p in points] == [(10, 30.5), (300, 32.0)]
    assert "n:1of2" in curve.data.tags["lipsync_signature/psnr/300"]
    artifact = Path(client.download_artifacts(curve.info.run_id, "scores.csv", str(tmp_path)))
    assert [r["reason"] for r in csv.DictReader(io.StringIO(artifact.read_text()))] == ["", "exit code 7", ""]


def test_wandb_reads_its_file(one: Path, many: Path, tmp_path: Path) -> None:
    tracker("wandb")
    for source in (one, many):
        folder = Path(export(source, "--to", "wandb", "--out", tmp_path / "wb", "--project", "p"))
        assert folder.name.startswith("offline-run-")
        (file,) = folder.glob("*.wandb")
        steps, config = wandb_rows(file)
        if source == one:
            for score in scores(one):
                assert steps[0].get(f"lipsync/{score.metric}") == score.value
                assert steps[0][f"lipsync_signature/{score.metric}"] == score.signature
                assert config["lipsync_eval"]["metrics"][score.metric]["signature"] == score.signature
            assert steps[0]["lipsync_mean_abs/av_offset"] == 2.0
        else:
            assert {k: v.get("lipsync/psnr") for k, v in steps.items()} == {10: 30.5, 20: None, 300: 32.0}
            assert steps[20]["lipsync_failed"] == "exit code 7" and "n:1of2" in steps[300]["lipsync_signature/psnr"]
        said = subprocess.run(
            [sys.executable, "-m", "wandb", "sync", "--dry-run", str(folder)], capture_output=True, text=True
        )
        assert "Would sync 1 run" in said.stdout + said.stderr


def wandb_rows(file: Path) -> tuple[dict[int, dict[str, Any]], dict[str, Any]]:
    """Step -> logged values, and the config, by wandb's own records."""
    from wandb.proto import wandb_internal_pb2 as proto

    steps: dict[int, dict[str, Any]] = {}
    config: dict[str, Any] = {}
    for record in records(file.read_bytes()):
        entry = proto.Record()
        entry.ParseFromString(record)
        kind = entry.WhichOneof("record_type")
        if kind == "history":
            items = {i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in entry.history.item}
            steps[entry.history.step.num] = items
        elif kind == "run":
            config |= {i.key: json.loads(i.value_json) for i in entry.run.config.update}
    return steps, config


def records(data: bytes) -> Iterator[bytes]:
    """Records of a LevelDB log with wandb's 7 bytes in front: blocks of 32768, headers of checksum, length and kind."""
    at, held = 7, b""
    while at + 7 <= len(data):
        if (room := 32768 - at % 32768) < 7:
            at += room
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        held += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield held
            held = b""


@pytest.mark.parametrize(
    ("target", "module", "install"),
    [
        ("wandb", "wandb", "pip install wandb"),
        ("mlflow", "mlflow.tracking", "pip install mlflow-skinny"),
        ("tensorboard", "torch.utils.tensorboard", "pip install 'lipsync-eval[train]'"),
    ],
)
def test_without_the_package_the_error_says_what_to_install(
    one: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    target: str, module: str, install: str,
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, module, None)
    assert run(["export", str(one), "--to", target, "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert install in said and "ssim" in said, "what has no value is named"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--to", "csv", "--online"], "--online belongs to --to wandb"),
        (["--to", "hf-model-card", "--dataset", "x", "--step", "3"], "--step belongs"),
        (["--to", "wandb"], "needs --out"),
        (["--to", "mlflow", "--out", "x", "--tracking-uri", "file:///x"], "leave one out"),
        (["--to", "excel"], "excel"),
    ],
)
def test_wrong_options_are_refused(one: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str) -> None:
    assert run(["export", str(one), *more]) == 2
    assert said in capsys.readouterr().err


def test_a_step_for_a_history_is_refused(many: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", str(many), "--to", "csv", "--step", "3"]) == 2
    assert "holds the steps" in capsys.readouterr().err
