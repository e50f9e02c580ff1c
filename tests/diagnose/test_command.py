"""`lipsync-eval diagnose` through the real entry point."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support import syncnet_official as official
from support.face_clips import head, other_head, scene
from support.two_people import music, paste
from support.videos import make_video, tone

from lipsync_eval.cli import run
from lipsync_eval.media import open_clip, write_video


def told(path: Path) -> dict[str, list[dict[str, str]]]:
    """Level -> findings of a JSON file."""
    found: dict[str, list[dict[str, str]]] = {}
    for finding in json.loads(path.read_text())["findings"]:
        found.setdefault(finding["level"], []).append(finding)
    return found


def diagnose(*clips: Path, out: Path, more: tuple[str, ...] = ()) -> int:
    return run(["diagnose", *map(str, clips), "--out", str(out), "--quiet", *more])


@pytest.fixture
def faceless(tmp_path: Path) -> Path:
    frames = [np.full((64, 64, 3), 90, np.uint8)] * 30
    return make_video(tmp_path / "plain.mkv", frames, sound=np.stack([tone(1.2)]))


def test_a_clip_without_face_and_with_held_frames(
    faceless: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert diagnose(faceless, out=tmp_path / "out") == 0
    out = capsys.readouterr().out
    assert "plain.mkv: 3 problems" in out or "problems" in out
    problems = {finding["about"] for finding in told(tmp_path / "out" / "plain.json")["problem"]}
    assert {"people", "sync", "speech", "rate"} <= problems
    data = json.loads((tmp_path / "out" / "plain.json").read_text())
    assert data["repeated_frames"] == 29 and data["people"]["speaker"] is None and data["file"]["video_codec"] == "ffv1"
    assert (tmp_path / "out" / "plain.png").read_bytes().startswith(b"\x89PNG")


def test_equal_clips_give_equal_files(faceless: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert diagnose(faceless, out=tmp_path / name) == 0
    for suffix in ("png", "json"):
        assert (tmp_path / "a" / f"plain.{suffix}").read_bytes() == (tmp_path / "b" / f"plain.{suffix}").read_bytes()


def test_without_audio(tmp_path: Path) -> None:
    frames = [scene((60 + t % 2, 30, head(150))) for t in range(30)]
    clip = make_video(tmp_path / "mute.mkv", frames)
    assert diagnose(clip, out=tmp_path / "out") == 0
    found = told(tmp_path / "out" / "mute.json")
    assert [f["about"] for f in found["problem"]] == ["sync"] and "no audio" in found["problem"][0]["text"]


def test_cuts_and_brief_faces_are_told(tmp_path: Path) -> None:
    frames = [scene((60, 30, head(150)))] * 15 + [scene((60, 30, other_head(150)), level=220)] * 15
    clip = make_video(tmp_path / "cut.mkv", frames, sound=np.stack([tone(1.2)]))
    assert diagnose(clip, out=tmp_path / "out") == 0
    data = json.loads((tmp_path / "out" / "cut.json").read_text())
    assert data["cuts"] == [15]
    assert any(f["about"] == "shots" and "0.60 s" in f["text"] for f in data["findings"])


def test_a_low_rate_is_the_files_own_or_somebodys_before(tmp_path: Path) -> None:
    """15 fps in the file, and 25 in the file of which every second frame repeats the one before."""
    from fractions import Fraction

    def frames(step: int) -> list[np.ndarray]:
        return [scene((40 + 2 * (t // step), 30, head(150))) for t in range(30)]

    slow = make_video(tmp_path / "slow.mkv", frames(1), tick=Fraction(1, 15))
    held = make_video(tmp_path / "held.mkv", frames(2))
    assert diagnose(slow, held, out=tmp_path / "out") == 0

    def rate(name: str) -> str:
        data = json.loads((tmp_path / "out" / f"{name}.json").read_text())
        return " ".join(f["text"] for f in data["findings"] if f["about"] == "rate")

    assert "move 15 times a second, as often as the file has frames" in rate("slow") and "resampled from 15" in rate(
        "slow"
    )
    assert "move 12 times a second: the video was made from a lower rate" in rate("held")


def test_names_cannot_drive_a_terminal_or_the_picture(
    faceless: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nasty = tmp_path / "in" / "a$\\frac{1}$\x1b[31m\u202e\n#.mkv"
    nasty.parent.mkdir()
    faceless.rename(nasty)
    broken = nasty.with_name("b\x1b[2J.mkv")
    broken.write_bytes(b"no video")
    assert diagnose(nasty, broken, out=tmp_path / "out") == 3
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err and "\u202e" not in said.out
    assert "\\x1b[31m" in said.out and "b\\x1b[2J.mkv" in said.err
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_folders_equal_names_and_files_that_are_there(
    faceless: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "more" / "plain.mkv"
    other.parent.mkdir()
    other.write_bytes(faceless.read_bytes())
    out = tmp_path / "out"
    assert diagnose(faceless, other.parent, out=out, more=("--format", "json")) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [Path(row["picture"]).name for row in shown] == ["plain.png", "plain-2.png"]
    assert diagnose(faceless, out=out) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert diagnose(faceless, out=out, more=("--overwrite",)) == 0


@pytest.mark.parametrize("given", [["gone.mp4"], ["."], []])
def test_nothing_to_diagnose_is_a_usage_error(
    given: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["diagnose", *given]) == 2
    assert not (tmp_path / "diagnose").exists()


def test_the_shifted_example(data: Path, tmp_path: Path) -> None:
    """SyncNet's README says +3; by timestamp the copy's audio lies 11.7 frames later."""
    assert diagnose(data / "clips" / "original" / "syncnet_example_shift12.avi", out=tmp_path) == 0
    found = told(tmp_path / "syncnet_example_shift12.json")
    assert [f["about"] for f in found["problem"]] == ["sync"]
    assert "9 frames" in found["problem"][0]["text"] or "8 frames" in found["problem"][0]["text"]
    assert "after the lips" in found["problem"][0]["text"] and "mouth-mel" in found["problem"][0]["text"]


def test_an_ordinary_clip_has_no_problem_and_music_under_it_is_one(data: Path, tmp_path: Path) -> None:
    path = data / "clips" / "original" / "hdtf_menendez.mp4"
    clip = open_clip(path)
    assert clip.audio is not None
    x = clip.audio.samples.astype(np.float64)
    mixed = 0.5 * (x + np.sqrt(np.mean(x**2)) * music(len(x)))
    write_video(tmp_path / "music.mkv", clip.frames(), audio=mixed.astype(np.float32), codec="h264", crf=18)
    assert diagnose(path, tmp_path / "music.mkv", out=tmp_path / "out") == 0
    assert "problem" not in told(tmp_path / "out" / "hdtf_menendez.json")
    problems = told(tmp_path / "out" / "music.json")["problem"]
    assert [f["about"] for f in problems] == ["background"] and "music" in problems[0]["text"]


def test_two_people_of_whom_the_smaller_one_speaks(data: Path, tmp_path: Path) -> None:
    original = data / "clips" / "original"
    pair = original / "hdtf_menendez.mp4", original / "hdtf_katiehill_headmotion.mp4"
    clip = paste(*pair, tmp_path / "two.mkv", speaks=1)
    assert diagnose(clip, out=tmp_path / "out") == 0
    data_ = json.loads((tmp_path / "out" / "two.json").read_text())
    assert data_["people"]["speaker"] == 2 and data_["people"]["scores"][1]["box"][0] > 224
    problems = told(tmp_path / "out" / "two.json")["problem"]
    assert [f["about"] for f in problems] == ["people"] and "--face speaking" in problems[0]["text"]


def test_syncnet_is_asked_where_its_weights_are(data: Path, tmp_path: Path) -> None:
    """Seeded weights: the numbers mean nothing, but they are those of `score`, and the page says whose weights these are."""
    import lipsync_eval

    weights = official.seeded_file(tmp_path / "syncnet.model")
    path = data / "clips" / "original" / "grid_bbaf2n.mpg"
    assert diagnose(path, out=tmp_path / "out", more=("--weights", f"syncnet={weights}")) == 0
    sync = json.loads((tmp_path / "out" / "grid_bbaf2n.json").read_text())["sync"]
    assert sync["curve"] == "syncnet" and "syncnet.model" in sync["syncnet_weights"]
    result = lipsync_eval.score(
        path, path, metrics="lse_c,lse_d,av_offset", settings=lipsync_eval.Settings(weights={"syncnet": weights})
    )
    for name, value in result.clips[0].values.items():
        assert sync["syncnet"][0][name] == pytest.approx(value, abs=1e-3)
    curve = sync["syncnet"][0]["distance"]
    assert sync["offsets"][int(np.argmin(curve))] == sync["syncnet"][0]["av_offset"]
