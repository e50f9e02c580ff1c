"""style-map, style-constants and style-train on real clips of GRID's speakers."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import pytest
from click.testing import CliRunner

from lipsync_eval.cli.style_constants import style_constants
from lipsync_eval.cli.style_map import style_map
from lipsync_eval.cli.style_train import split, style_train
from lipsync_eval.errors import UsageError
from lipsync_eval.features.style.constants import read
from lipsync_eval.features.style.corpus import find_recordings

NAMES = ("grid_bbaf2n", "grid_lbax4n", "grid_lrwp9a", "grid_pwij3p", "grid_sbia1a")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "who.csv"
    path.write_text("clip,speaker\n" + "".join(f"{name},{name[5:]}\n" for name in NAMES))
    return path


def test_map_constants_and_training(data: Path, table: Path, cache: Path, tmp_path: Path) -> None:
    common = [str(data / "clips" / "original"), "--speakers", str(table), "--cache", str(cache)]
    run = CliRunner()
    out = tmp_path / "map.png"
    result = run.invoke(
        style_map, [*common, "--out", str(out), "--halves", "--window", "30", "--hop", "15"], catch_exceptions=False
    )
    assert result.exit_code == 0 and "20 codes of 5 speakers, 5 clips" in result.stdout
    assert "same clip" in result.stdout and len(result.stdout.splitlines()) == 8
    assert matplotlib.image.imread(out).shape[0] > 500

    result = run.invoke(style_constants, [*common, "--out", str(tmp_path / "c.json")], catch_exceptions=False)
    assert "5 speakers, 5 clips, 375 frames" in result.stdout and read(tmp_path / "c.json").provenance in result.stdout

    encoder = str(tmp_path / "e.pt")
    train = [*common, "--out", encoder, "--window", "30", "--steps", "3", "--hold-out", "2"]
    result = run.invoke(style_train, train, catch_exceptions=False)
    assert "3 speakers, 3 steps" in result.stdout and "held out: 2 speakers" in result.stdout
    result = run.invoke(style_map, [*common, "--out", str(out), "--encoder", encoder], catch_exceptions=False)
    assert result.exit_code == 0
    with pytest.raises(UsageError, match="trained on points68"):
        run.invoke(
            style_map,
            [*common, "--out", str(out), "--encoder", encoder, "--features", "blendshapes"],
            catch_exceptions=False,
        )


def test_speakers_from_folders_and_tables(tmp_path: Path) -> None:
    for name in ("ann/1.mp4", "ann/2.mp4", "bob/x/1.mp4", "carl.mp4"):
        (tmp_path / "v" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "v" / name).write_bytes(b"")
    found = find_recordings(tmp_path / "v")
    assert [(r.name, r.speaker) for r in found] == [
        ("ann/1", "ann"),
        ("ann/2", "ann"),
        ("bob/x/1", "bob"),
        ("carl", "carl"),
    ]
    (tmp_path / "t.csv").write_text("clip,speaker\nann/1,a\ncarl,a\n")
    assert [r.speaker for r in find_recordings(tmp_path / "v", tmp_path / "t.csv")] == ["a", "a"]
    (tmp_path / "t.csv").write_text("clip,speaker\nann/9,a\n")
    with pytest.raises(UsageError, match="ann/9"):
        find_recordings(tmp_path / "v", tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="clip,speaker"):
        find_recordings(tmp_path / "v", tmp_path / "t.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no video"):
        find_recordings(tmp_path / "empty")


def test_held_out_speakers_are_spread_over_the_names() -> None:
    seen, unseen = split({name: [] for name in "abcdefghij"}, 3)
    assert sorted(unseen) == ["b", "f", "i"] and len(seen) == 7
    assert split({"a": [], "b": []}, 0)[1] == {}
    with pytest.raises(UsageError, match="leaves 1"):
        split({"a": [], "b": []}, 1)
