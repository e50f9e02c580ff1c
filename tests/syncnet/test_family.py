"""lse_c, lse_d and av_offset through the whole command, with seeded weights."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from golden import synthetic_inputs
from support import scoring
from support import syncnet_official as official

from lipsync_eval.cli import run
from lipsync_eval.errors import MissingWeights, UsageError
from lipsync_eval.features.syncnet import tracking
from lipsync_eval.media import open_clip, write_video
from lipsync_eval.metrics.syncnet import SyncNet
from lipsync_eval.types import Settings

GOLDEN = Path(__file__).parents[1] / "golden" / "syncnet"
IDS = "lse_c,lse_d,av_offset"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return official.seeded_file(tmp_path_factory.mktemp("weights") / "syncnet_v2.model")


def film(path: Path, pictures: np.ndarray, sound: np.ndarray | None) -> Path:
    """A lossless video of BGR frames and int16 audio."""
    path.parent.mkdir(exist_ok=True)
    write_video(path, pictures[..., ::-1], audio=None if sound is None else sound.astype(np.float32) / 32768)
    return path


def score(gen: Path, gt: Path, weights: Path, **options: Any) -> Any:
    options = {"protocol": "lrs", "metrics": IDS, "cache": None} | options
    return scoring.score(gen, gt, weights={"syncnet": weights}, **options)


def test_golden_numbers_through_the_whole_command(tmp_path: Path) -> None:
    g = np.load(GOLDEN / "case2_T29_lrw.npz")
    weights = official.seeded_file(tmp_path / "w.model", int(g["weights_seed"]), float(g["shared_bias"]))
    pictures = synthetic_inputs.clip(int(g["clip_seed"]), int(g["T"]))
    clip = film(tmp_path / "gen" / "a.mkv", pictures, g["audio"])
    out = tmp_path / "out"
    arguments = [
        "score",
        str(clip),
        str(clip),
        "--metrics",
        IDS,
        "--protocol",
        "lrs",
        "--weights",
        f"syncnet={weights}",
        "--no-cache",
    ]
    assert run([*arguments, "--out", str(out), "--quiet"]) == 0
    row = json.loads((out / "results.json").read_text())["clips"][0]
    assert row["values"]["lse_c"] == pytest.approx(float(g["conf"]), abs=1e-3)
    assert row["values"]["lse_d"] == pytest.approx(float(g["mindist"]), rel=1e-4)
    assert row["values"]["av_offset"] == int(g["offset"])
    assert row["gt_values"] == pytest.approx(row["values"], abs=1e-4)
    assert row["details"]["syncnet"]["frames_scored"] == len(g["D"])
    assert any("short clip" in note for note in row["notes"])
    assert any("w.model is not the published file" in note for note in row["notes"])
    arrays = np.load(out / "frames.npz")
    matrix = next(arrays[k] for k in arrays.files if k.endswith("syncnet_distances"))
    np.testing.assert_allclose(matrix, g["D"], rtol=1e-4, atol=1e-3)
    curve = next(arrays[k] for k in arrays.files if k.endswith("lse_d"))
    assert np.nanmean(curve) == pytest.approx(row["values"]["lse_d"], rel=1e-6)


def test_real_clip_equals_the_official_steps_on_the_same_crops(data: Path, weights: Path, tmp_path: Path) -> None:
    """Protocol radio: faces found by the run, crops cut as upstream, then the official loop in batches of 20."""
    path = data / "clips" / "original" / "grid_bbaf2n.mpg"
    result = score(path, path, weights, protocol="radio", cache=tmp_path / "cache")
    clip = open_clip(path)
    from lipsync_eval.cache import Cache
    from lipsync_eval.faces import track_faces

    track = track_faces(clip, landmarks="dlib68", detector=None, face="largest", cache=Cache(tmp_path / "cache"))
    where = tracking.windows(tracking.boxes_from_points(track.points))
    crops = [tracking.cut(np.ascontiguousarray(p[..., ::-1]), where, i) for i, p in enumerate(clip.frames())]
    assert clip.audio is not None
    offset, confidence, distance, _ = official.evaluate(official.seeded_net(), np.stack(crops), clip.audio.int16())  # type: ignore[arg-type]
    values = result.clips[0].values
    assert values["av_offset"] == offset
    assert values["lse_c"] == pytest.approx(confidence, abs=1e-2)
    assert values["lse_d"] == pytest.approx(distance, rel=1e-4)
    signature = result.scores[0].signature
    assert "|sync:own-track,min100,longest|" in signature and "|feat:syncnet@" in signature


def test_missing_weights_stop_before_any_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = film(tmp_path / "a.mkv", synthetic_inputs.clip(1, 8), None)
    arguments = [
        "score",
        str(clip),
        str(clip),
        "--metrics",
        f"psnr,{IDS}",
        "--protocol",
        "lrs",
        "--no-cache",
        "--out",
        str(tmp_path / "out"),
    ]
    assert run(arguments) == 2
    assert "lipsync-eval weights pull syncnet\n" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert run([*arguments, "--skip-missing"]) == 3
    assert "[weights: lse_c, lse_d, av_offset] the weights 'syncnet'" in capsys.readouterr().out, (
        "one line for one cause"
    )
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert {row["metric"] for row in found["failures"]} == set(IDS.split(","))
    assert {row["error"] for row in found["failures"]} == {"MissingWeights"}
    assert found["clips"][0]["values"]["psnr"] == 100


SPEECH = synthetic_inputs.audio(3, 640 * 30)


@pytest.mark.parametrize(
    ("n", "sound", "reason"),
    [
        (12, None, "has no audio to score"),
        (12, np.zeros(640 * 12, np.int16), "silent"),
        (12, SPEECH[:3000], "the audio lasts 0.19 s"),
        (5, SPEECH[: 640 * 5], "at least 6 frames"),
    ],
)
def test_clips_that_cannot_be_scored_have_a_reason(
    n: int, sound: np.ndarray | None, reason: str, weights: Path, tmp_path: Path
) -> None:
    clip = film(tmp_path / "a.mkv", synthetic_inputs.clip(1, n), sound)
    result = score(clip, clip, weights)
    assert result.clips[0].values == {"lse_c": None, "lse_d": None, "av_offset": None}
    assert result.failures and all(reason in row.message for row in result.failures)


def test_no_track_long_enough(weights: Path, tmp_path: Path) -> None:
    """S3FD with seeded weights that see nothing: the reason names frames and limits."""
    torch.save(official.s3fd_state(1, 50.0), tmp_path / "s3fd.pth")
    clip = film(tmp_path / "a.mkv", synthetic_inputs.clip(1, 12, 64, 64), SPEECH[: 640 * 12])
    result = scoring.score(
        clip,
        clip,
        metrics=IDS,
        protocol="raw",
        cache=None,
        weights={"syncnet": weights, "s3fd": tmp_path / "s3fd.pth"},
        options={"sync_detector": "s3fd"},
    )
    assert (
        "S3FD found a face in 0 of 12 frames" in result.failures[0].message
        and "more than 9.6 detections" in result.failures[0].message
    )
    assert "|sync:s3fd@" in result.scores[0].signature


def test_real_video_without_audio_costs_only_its_own_score(weights: Path, tmp_path: Path) -> None:
    pictures = synthetic_inputs.clip(1, 10)
    gen, gt = film(tmp_path / "gen.mkv", pictures, SPEECH[:6400]), film(tmp_path / "gt.mkv", pictures, None)
    result = score(gen, gt, weights)
    assert not result.failures and result.clips[0].gt_values == {}
    assert any("the real video has no score of its own" in note for note in result.clips[0].notes)


def test_cache_of_the_real_video_gives_the_same_numbers(weights: Path, tmp_path: Path) -> None:
    clip = film(tmp_path / "a.mkv", synthetic_inputs.clip(1, 10), SPEECH[:6400])
    first = score(clip, clip, weights, cache=tmp_path / "cache")
    second = score(clip, clip, weights, cache=tmp_path / "cache")
    assert first.clips[0].gt_values == second.clips[0].gt_values and first.clips[0].values == second.clips[0].values
    other = score(clip, clip, official.seeded_file(tmp_path / "other.model", 2, 0.1), cache=tmp_path / "cache")
    assert other.clips[0].gt_values["lse_d"] == pytest.approx(other.clips[0].values["lse_d"], rel=1e-6)
    assert other.clips[0].gt_values["lse_d"] != first.clips[0].gt_values["lse_d"]


def test_jpeg_chain_is_in_the_signature_and_moves_the_numbers(weights: Path, tmp_path: Path) -> None:
    clip = film(tmp_path / "a.mkv", synthetic_inputs.clip(1, 10), SPEECH[:6400])
    plain, jpeg = score(clip, clip, weights), score(clip, clip, weights, options={"compat": "jpeg"})
    assert "compat:jpeg" in jpeg.scores[0].signature and "compat" not in plain.scores[0].signature
    moved = abs(jpeg.clips[0].values["lse_d"] / plain.clips[0].values["lse_d"] - 1)
    assert 1e-6 < moved < 0.2


@pytest.mark.parametrize(
    ("protocol", "options", "needs_points", "sync"),
    [
        ("radio", {}, True, "own-track,min100,longest"),
        ("radio", {"sync_detector": "s3fd"}, False, "s3fd@"),
        ("syncnet", {}, False, "s3fd@"),
        ("syncnet", {"sync_detector": "track"}, True, "own-track,min100,longest"),
        ("latentsync", {}, False, ",shots0.6.1,min50,mean"),
        ("lrs", {}, False, "whole-frame"),
    ],
)
def test_modes(
    protocol: str, options: dict[str, str], needs_points: bool, sync: str, weights: Path, tmp_path: Path
) -> None:
    s3fd = tmp_path / "s3fd.pth"
    s3fd.write_bytes(b"x")
    family = SyncNet(
        Settings(protocol=protocol, options=options, weights={"syncnet": weights, "s3fd": s3fd}), frozenset({"lse_c"})
    )
    assert ("gen.points" in family.needs("lse_c")) == needs_points
    assert sync in family.signature("lse_c")["sync"]


def test_a_protocol_of_a_users_own_states_syncnets_rules(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "s3fd.pth").write_bytes(b"x")
    crop = 'name = "mine"\nsize = 64\n[crop]\nbase = "frame"\n'
    wanted = {
        "": "own-track,min100,longest", "min_track = 40": "own-track,min40,longest", 'tracks = "mean"': "own-track,min100,mean",
        'shots = "0.6.1"': "own-track,min100,longest", 'detector = "none"': "whole-frame",
        'detector = "none"\nmin_track = 40': "whole-frame",
    }  # fmt: skip
    for rules, sync in wanted.items():
        (tmp_path / "mine.toml").write_text(f"{crop}[sync]\n{rules}\n")
        settings = Settings(protocol=str(tmp_path / "mine.toml"), weights={"syncnet": weights})
        assert SyncNet(settings, frozenset({"lse_c"})).signature("lse_c")["sync"] == sync


def test_s3fd_is_asked_for_where_it_is_used(weights: Path) -> None:
    family = SyncNet(Settings(protocol="syncnet", weights={"syncnet": weights}), frozenset({"lse_c"}))
    with pytest.raises(MissingWeights, match="weights pull s3fd"):
        family.check()


@pytest.mark.parametrize(
    ("protocol", "options"),
    [("lrs", {"sync_detector": "s3fd"}), ("radio", {"sync_detector": "haar"}), ("radio", {"compat": "png"})],
)
def test_options_that_make_no_sense(protocol: str, options: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        SyncNet(Settings(protocol=protocol, options=options), frozenset({"lse_c"}))


def test_memory_does_not_grow_with_the_track() -> None:
    """Ten minutes of track through a net that gives random embeddings: only the rows themselves are kept."""
    import tracemalloc

    from lipsync_eval.features.syncnet.track_scorer import TrackScorer

    class Net:
        rows = 16
        rng = np.random.default_rng(0)

        def lip(self, pictures: np.ndarray) -> np.ndarray:
            return self.rng.standard_normal((len(pictures) - 4, 1024)).astype(np.float32)

        def audio(self, columns: np.ndarray) -> np.ndarray:
            return self.rng.standard_normal(((columns.shape[1] - 20) // 4 + 1, 1024)).astype(np.float32)

    n = 25 * 600
    samples = np.tile(SPEECH, math.ceil(n * 640 / len(SPEECH)))[: n * 640]
    frame = np.zeros((224, 224, 3), np.uint8)
    tracemalloc.start()
    scorer = TrackScorer(Net(), samples, n)  # type: ignore[arg-type]
    for _ in range(n):
        scorer.add(frame)
    distances = scorer.finish()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert distances.shape == (n - 5, 31)
    assert peak < 40_000_000 + distances.nbytes


def test_s3fd_faces_from_frames_to_score_and_from_the_cache(weights: Path, tmp_path: Path) -> None:
    """Seeded S3FD sees a face: tracks, crops and the mean over tracks, then the same again out of the cache."""
    torch.save(official.s3fd_state(1, 2.0), tmp_path / "s3fd.pth")
    clip = film(tmp_path / "a.mkv", synthetic_inputs.clip(1, 12, 160, 160, waves=2, noise=0), SPEECH[: 640 * 12])
    own = {"syncnet": weights, "s3fd": tmp_path / "s3fd.pth"}
    first, second = (
        scoring.score(clip, clip, metrics=IDS, protocol="latentsync", cache=tmp_path / "c", weights=own)
        for _ in range(2)
    )
    assert not first.failures
    row = first.clips[0]
    assert any(note.startswith("s3fd: s3fd.pth is not the published file") for note in row.notes)
    tracks = row.details["syncnet"]["tracks"]
    assert tracks and all(t["scored"] for t in tracks)
    assert row.values["lse_d"] == pytest.approx(np.mean([t["lse_d"] for t in tracks]), abs=1e-5)
    assert second.clips[0].values == row.values and second.clips[0].gt_values == row.gt_values
