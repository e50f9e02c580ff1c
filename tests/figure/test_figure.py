"""The qualitative figure: its moments, its places, its files, on made clips and on real ones."""

from __future__ import annotations

import re
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support import clips

from lipsync_eval import Result, Settings, figure, score
from lipsync_eval.cli import run as cli
from lipsync_eval.engine.figure.moments import frames_at, most_different
from lipsync_eval.engine.figure.places import Box, faces, mouths
from lipsync_eval.errors import OutputError, UsageError
from lipsync_eval.media import open_clip

N = 16
HARD = r"$\frac{1}{2}$ _ours_ \x1b ^ 方法"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs of two methods on one made clip: a blurred one, and one whose mouth moves otherwise from frame 8 on."""
    root = tmp_path_factory.mktemp("figure")
    real = list(clips.frames(N))
    other = [f if i < 8 else clips.frames(N)[2 * (i % 2)] for i, f in enumerate(real)]
    clips.write(root / "gt" / "a.mkv", real, clips.sound(N))
    made = {}
    for name, frames in {"blurred": clips.blurred(real, 1.5), "other": other}.items():
        clips.write(root / name / "a.mkv", frames, clips.sound(N))
        made[name] = root / "runs" / name
        score(
            root / name, root / "gt", metrics="psnr", settings=Settings(protocol="raw", cache_dir=None), out=made[name]
        )
    return made


@given(st.lists(st.floats(0, 100), min_size=1, max_size=60), st.integers(1, 12))
def test_chosen_moments_are_apart_in_order_and_begin_with_the_largest(values: list[float], count: int) -> None:
    found = most_different(np.array(values), count)
    gap = max(1, len(values) // (2 * count))
    assert found == sorted(found) and 1 <= len(found) <= count
    assert int(np.argmax(values)) in found
    assert all(b - a >= gap for a, b in pairwise(found))


def test_moments_of_frames_without_a_face_are_not_chosen() -> None:
    assert most_different(np.array([np.nan, 1.0, np.nan, 5.0]), 2) == [1, 3]
    with pytest.raises(UsageError, match="name the moments with --at"):
        most_different(np.full(3, np.nan), 1)


def test_the_frame_on_screen_at_a_moment() -> None:
    assert frames_at([0.12, 0, 0.0799], 4) == [3, 0, 1]
    for bad in ([0.16], [-0.1], [float("nan")], [float("inf")], [0, 0.01], []):
        with pytest.raises(UsageError):
            frames_at(bad, 4)


def test_rectangles_stay_inside_the_frame_and_keep_their_size() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(0, 6, (9, 68, 2)) + rng.uniform(-20, 120, (9, 1, 2))
    points[4] = np.nan
    for boxes in (mouths(points, 90, 100), faces(points, 90, 100)):
        assert boxes[4] is None
        kept = [b for b in boxes if b is not None]
        assert len({(b.width, b.height) for b in kept}) == 1
        assert all(
            b.left >= 0 and b.top >= 0 and b.left + b.width <= 100.001 and b.top + b.height <= 90.001 for b in kept
        )


def test_a_rectangle_of_whole_pixels_is_cut_exactly() -> None:
    frame = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert np.array_equal(Box(3.0, 5.0, 12.0, 8.0).cut(frame, (8, 12)), frame[5:13, 3:15])


def test_auto_finds_where_the_methods_differ(runs: dict[str, Path]) -> None:
    made = figure(
        [runs["blurred"], Result.load(runs["other"]).renamed("b")], "a", columns=2, settings=Settings(cache_dir=None)
    )
    assert made.rows == ("blurred", "b", "GT")
    assert all(f >= 8 for f in made.frames[1:]) and len(made.frames) == 2
    assert made.times == tuple(f / 25 for f in made.frames)
    again = figure(
        [runs["blurred"], Result.load(runs["other"]).renamed("b")], "a", columns=2, settings=Settings(cache_dir=None)
    )
    assert again.frames == made.frames


def test_cells_hold_the_frames_of_the_videos(runs: dict[str, Path]) -> None:
    made = figure([runs["blurred"], runs["other"]], "a", at=[0.4], view="frame", errors=True)
    images = [axes.get_images()[0].get_array() for axes in made.figure.axes]
    assert len(images) == 2 * 2 + 1 + 1  # a frame and an error map a method, the real frame, the scale
    real, other = (open_clip(runs["blurred"].parents[1] / s / "a.mkv") for s in ("gt", "other"))
    means = [np.mean(next(c.frames(10, 11))) for c in (other, real)]
    assert np.mean(images[2]) == pytest.approx(means[0], abs=0.5)
    assert np.mean(images[4]) == pytest.approx(means[1], abs=0.5)
    assert np.mean(images[1]) > 0.1 and images[1].ndim == 2


def test_a_run_called_gt_is_the_real_row_where_no_run_has_real_videos(runs: dict[str, Path], tmp_path: Path) -> None:
    root = runs["blurred"].parents[1]
    loaded = [
        score(root / side, metrics="cpbd", settings=Settings(cache_dir=None), out=tmp_path / side).renamed(name)
        for side, name in (("blurred", "blurred"), ("gt", "GT"))
    ]
    made = figure(loaded, "a", at=[0.4], view="frame", errors=True)
    assert made.rows == ("blurred", "GT")
    shown = np.mean(made.figure.axes[2].get_images()[0].get_array())
    assert shown == pytest.approx(np.mean(next(open_clip(root / "gt" / "a.mkv").frames(10, 11))), abs=0.5)
    with pytest.raises(UsageError, match="scored without one"):
        figure(loaded[:1], "a", at=[0.4], view="frame", errors=True)


@pytest.mark.parametrize("zoom", ["none", "mouth", "mouth-only"])
def test_files_are_of_a_columns_width_with_embedded_fonts(runs: dict[str, Path], tmp_path: Path, zoom: str) -> None:
    out = tmp_path / "new" / "fig.pdf"
    (tmp_path / "w.csv").write_text(f"start,end,word\n0,0.3,$x^2$\n0.3,9,{'long' * 30}\n", "utf-8")
    line = ["figure", f"{runs['blurred']}={HARD}", f"{runs['other']}={'n' * 90}", "--clip", "a", "--at", "0.1,0.4,0.2"]
    line += ["--zoom", zoom, "--words", str(tmp_path / "w.csv"), "--out", str(out), "--errors"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cli(line) == 0
    with Image.open(tmp_path / "new" / "fig.png") as image:
        assert image.width == round(3.4 * 300)
    data = out.read_bytes()
    assert b"/FontFile2" in data and b"/Type3" not in data
    box = re.search(rb"/MediaBox \[\s*0 0 ([\d.]+) ([\d.]+)", data)
    assert box and float(box[1]) == pytest.approx(3.4 * 72)
    before = data
    assert cli(line) == 2  # nothing is replaced silently
    assert out.read_bytes() == before
    assert cli([*line, "--overwrite"]) == 0
    assert out.read_bytes() == before  # equal input gives equal bytes


def test_texts_do_not_leave_the_page_or_meet(runs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "w.csv").write_text(f"start,end,word\n0,0.3,{'W' * 40}\n0.3,9,{'M' * 40}\n")
    long = [Result.load(runs["blurred"]).renamed("W" * 60), Result.load(runs["other"]).renamed("x" * 60)]
    made = figure(long, "a", at=[0, 0.32, 0.4, 0.48, 0.56], words=tmp_path / "w.csv")
    boxes = [t.get_window_extent() for t in made.figure.texts if t.get_text()]
    assert len(boxes) == 3 + 2 * 5
    page = made.figure.bbox
    assert all(b.x0 >= -1 and b.x1 <= page.x1 + 1 and b.y0 >= -1 and b.y1 <= page.y1 + 1 for b in boxes)
    for i, a in enumerate(boxes):
        assert not any(a.shrunk(0.98, 0.8).overlaps(b.shrunk(0.98, 0.8)) for b in boxes[i + 1 :])


def test_what_is_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    a, b = runs["blurred"], runs["other"]
    for wrong, words in (
        (lambda: figure([a], "aa"), "Did you mean a"),
        (lambda: figure([a, Result.load(a)], "a", at=[0]), "two runs are called 'blurred'"),
        (lambda: figure([Result.load(a).renamed("GT")], "a"), "0 methods given"),
        (lambda: figure([a], "a", at=[3]), "the clip has 16 frames"),
        (lambda: figure([a], "a", at=[0], zoom="nose"), "no zoom 'nose'"),  # type: ignore[arg-type]
        (lambda: figure([a], "a", at=[0], font="No Such Font"), "no such font"),
    ):
        with pytest.raises(UsageError, match=words):
            wrong()
    moved = Result.load(b)
    row = moved.clips[0].model_copy(update={"gen": str(tmp_path / "gone.mkv")})
    with pytest.raises(UsageError, match="cannot be read any more"):
        figure([moved.model_copy(update={"clips": [row]})], "a", at=[0])
    made = figure([a, Result.load(b).renamed("GT")], "a", at=[0], view="frame")
    assert made.rows == ("blurred", "GT")
    made.save(tmp_path / "x")
    with pytest.raises(OutputError, match="is there already"):
        made.save(tmp_path / "x.png")


def test_three_methods_on_a_real_clip(data: Path, tmp_path: Path) -> None:
    real = open_clip(data / "clips" / "original" / "grid_bbaf2n.mpg")
    frames = list(real.frames(0, 20))
    noise = np.random.default_rng(0).normal(0, 15, frames[0].shape)
    ways = {
        "blurred": clips.blurred(frames, 2.5),
        "shifted": [frames[max(0, i - 5)] for i in range(20)],
        "noisy": [np.clip(f + noise, 0, 255).astype(np.uint8) for f in frames],
    }
    clips.write(tmp_path / "gt" / "a.mkv", frames)
    made = []
    for name, new in ways.items():
        clips.write(tmp_path / name / "a.mkv", new)
        made.append(score(tmp_path / name, tmp_path / "gt", metrics="psnr", settings=Settings(protocol="raw")))
    told: list[str] = []
    found = figure(made, "a", columns=5, zoom="mouth", errors=True, warn=told.append)
    assert found.rows == ("blurred", "shifted", "noisy", "GT") and len(found.frames) == 5
    assert told == []
    arrays = [axes.get_images()[0].get_array() for axes in found.figure.axes]
    close = [a for a in arrays if a.ndim == 3][5:10]  # the blurred method's mouths
    assert all(a.std() > 5 for a in close)
