"""The built-in adapters against the test kit, plug-ins by entry point, and adapters that the kit must refuse."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import lipsync_eval.baselines as baselines
from lipsync_eval.baselines import all_adapters, get_adapter
from lipsync_eval.baselines.base import Adapter, BaselineError, Job
from lipsync_eval.baselines.testing import check_adapter, sample_job
from lipsync_eval.errors import UsageError

_NUMBERS = iter(range(99))
_NEEDED = {"checkpoint", "geometry", "avhubert_root", "data", "workspace", "config"}


@pytest.mark.parametrize("name", sorted(all_adapters()))
def test_built_in_adapters_hold(name: str, tmp_path: Path) -> None:
    adapter = all_adapters()[name]
    options = {k: "x" for k in adapter.record.options if k in _NEEDED}
    for folder, suffix in (("landmarks", "csv"), ("features", "npy")):
        if folder in adapter.record.options:
            (tmp_path / folder).mkdir()
            (tmp_path / folder / f"clip.{suffix}").touch()
            options[folder] = str(tmp_path / folder)
    if "personal" in adapter.record.options:  # a folder with a run for every clip
        (tmp_path / "personal" / "clip").mkdir(parents=True)
        options["personal"] = str(tmp_path / "personal")
    assert check_adapter(adapter, options) == []


def test_the_generators_of_the_papers_are_there() -> None:
    assert set(all_adapters()) >= {
        "wav2lip",
        "wav2lip_gan",
        "dinet",
        "ip_lap",
        "pc_avs",
        "makeittalk",
        "atvgnet",
        "videoretalking",
        "talklip",
        "synctalk",
        "ad_nerf",
        "stylesync",
        "stylesync_g",
        "stylesync_p",
        "sadtalker",
        "musetalk",
        "latentsync",
        "radio",
        "gfpgan",
        "gpen",
        "personatalk",
        "avhubert_expert",
    }
    assert all(adapter.command is not None for adapter in all_adapters().values())
    assert all_adapters() is all_adapters()  # a second call, when the folder of adapters has been imported


def test_every_generator_with_code_says_where_its_reference_frame_comes_from() -> None:
    kinds = {n: a.record.reference for n, a in all_adapters().items() if a.command is not None}
    assert set(kinds.values()) == {"given", "own-frame", "drawn", "none"}
    assert {n for n, kind in kinds.items() if kind == "given"} == {
        "radio", "avhubert_expert", "pc_avs", "makeittalk", "atvgnet", "sadtalker", "wav2lip_ref", "wav2lip_gan_ref",
        "ip_lap_ref", "stylesync_ref", "stylesync_g", "stylesync_p",
    }  # fmt: skip
    assert kinds["wav2lip"] == kinds["stylesync"] == "own-frame" and kinds["dinet"] == kinds["ip_lap"] == "drawn"


_REFERENCED = ["wav2lip_ref", "wav2lip_gan_ref", "ip_lap_ref", "stylesync_ref"]


@pytest.mark.parametrize("name", _REFERENCED)
def test_a_given_reference_needs_the_patched_copy(name: str, tmp_path: Path) -> None:
    """In an unpatched checkout the code would take its own frames and say nothing."""
    from lipsync_eval.baselines.patches import prepared_facts

    adapter, plain = all_adapters()[name], all_adapters()[name.removesuffix("_ref")]
    job = sample_job(tmp_path, {"checkpoint": "x"})
    job.view.mkdir(parents=True)
    job.repo.mkdir()
    job.reference.write_bytes(b"picture")
    facts = job.repo / "lipsync_eval_prepared.json"
    assert adapter.prepare is not None
    for held in (None, prepared_facts(plain.record)):
        if held is not None:
            facts.write_text(json.dumps(held))
        with pytest.raises(BaselineError, match=f"baselines prepare {name}"):
            adapter.prepare(job)
    facts.write_text(json.dumps(prepared_facts(adapter.record)))
    (tmp_path / "mine.png").write_bytes(b"mine")
    (job.view / "reference.png").symlink_to(tmp_path / "mine.png")
    assert "its network saw the given reference (patched)" in adapter.prepare(job)
    assert (job.view / "reference.png").read_bytes() == b"picture"
    assert (tmp_path / "mine.png").read_bytes() == b"mine"


def test_wav2lips_patch_changes_the_reference_input_alone(tmp_path: Path) -> None:
    """The function that its patch makes of `datagen`: masked frames first, then the given picture's face for every frame."""
    import numpy as np

    source = (
        "def datagen(frames, mels):\n\tfor img_batch in frames:\n\t\tif True:\n\t\t\timg_masked = img_batch * 0\n"
        "\t\t\timg_batch = np.concatenate((img_masked, img_batch), axis=3) / 255.\n\t\t\tyield img_batch\n"
        "\tif True:\n\t\timg_masked = img_batch[..., :3] * 0\n"
        "\t\timg_batch = np.concatenate((img_masked, img_batch), axis=3) / 255.\n"
    )
    for patch in all_adapters()["wav2lip_ref"].record.patches[1:]:
        assert source.count(patch.old) == 1
        source = source.replace(patch.old, patch.new)

    class Args:
        box, resize_factor, img_size = [1, 3, 0, 2], 1, 2

    class CV2:
        imread = staticmethod(lambda name: np.full((4, 4, 3), 51.0) if name == "reference.png" else None)
        resize = staticmethod(lambda image, size: image)

    place = {"np": np, "args": Args, "cv2": CV2}
    exec(source, place)
    (made,) = list(place["datagen"]([np.full((2, 2, 2, 3), 255.0)], None))  # type: ignore[operator]
    assert made.shape == (2, 2, 2, 6) and (made[..., :3] == 0).all() and (made[..., 3:] == 0.2).all()


def _broken(**change: object) -> Adapter:
    good = all_adapters()["wav2lip"]
    return replace(good, **{"command": lambda job: [*job.python, "x.py", str(job.output)], **change})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("adapter", "says"),
    [
        (_broken(record=replace(all_adapters()["wav2lip"].record, commit="5c90fa9")), "40 hex digits"),
        (_broken(record=replace(all_adapters()["wav2lip"].record, name="a/b")), "becomes a folder"),
        (_broken(record=replace(all_adapters()["wav2lip"].record, licence="")), "record.licence is empty"),
        (_broken(record=replace(all_adapters()["wav2lip"].record, reference="")), "record.reference is ''"),
        (
            _broken(command=lambda job: [*job.python, "x.py", str(job.reference), str(job.output)]),
            "record.reference is 'own-frame', not 'given'",
        ),
        (_broken(command=lambda job: ["bash", "-c", f"run {job.output}"]), "must start with job.python"),
        (_broken(command=lambda job: [*job.python, "x.py", ">", str(job.output)]), "no shell line"),
        (_broken(command=lambda job: [*job.python, "x.py", job.output]), "must be a text"),
        (_broken(command=lambda job: [*job.python, "x.py", "--out", "result.mp4"]), "no `collect`"),
        (
            _broken(command=lambda job: [*job.python, str(job.output), job.options.get("secret", "1")]),
            "does not declare: secret",
        ),
        (
            _broken(command=lambda job: [*job.python, str(job.output), job.option("checkpoint")]),
            "needs the option 'checkpoint'",
        ),
        (_broken(command=lambda job: [*job.python, str(job.output), str(next(_NUMBERS))]), "differs from call to call"),
        (_broken(writes=("../up",)), "a folder inside the repository"),
    ],
)
def test_what_the_kit_refuses(adapter: Adapter, says: str) -> None:
    assert any(says in wrong for wrong in check_adapter(adapter)), check_adapter(adapter)


@pytest.fixture
def _plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "toy-1.0.dist-info").mkdir()
    (tmp_path / "toy-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (tmp_path / "toy-1.0.dist-info" / "entry_points.txt").write_text(
        "[lipsync_eval.baselines]\ntoy = toy_plug_in:ADAPTER\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    all_adapters.cache_clear()
    yield tmp_path
    sys.modules.pop("toy_plug_in", None)
    all_adapters.cache_clear()


_PLUG_IN = """
from dataclasses import replace
from lipsync_eval.baselines import get_adapter
from lipsync_eval.baselines.adapters.radio import ADAPTER as radio
ADAPTER = replace(radio, record=replace(radio.record, name={name!r}))
"""


def test_a_plug_in_is_found(_plug_in: Path) -> None:
    (_plug_in / "toy_plug_in.py").write_text(_PLUG_IN.format(name="toy"))
    assert get_adapter("toy").record.name == "toy"
    assert any(line.startswith("toy ") for line in baselines.listing())
    assert baselines.facts("toy") is get_adapter("toy").record
    assert baselines.facts("nobody") is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1 / 0", "cannot be loaded"),
        ("ADAPTER = 3", "cannot be loaded"),
        (_PLUG_IN.format(name="wav2lip"), "two generators are called 'wav2lip'"),
    ],
)
def test_a_bad_plug_in_is_named(_plug_in: Path, text: str, says: str) -> None:
    (_plug_in / "toy_plug_in.py").write_text(text)
    with pytest.raises(UsageError, match=says):
        all_adapters()


def test_pc_avs_numbers_its_frames_from_the_third(tmp_path: Path) -> None:
    """Its first frame stands for frame 2; frame k of the result must be at time k."""
    import cv2
    import numpy as np
    from support import clips

    from lipsync_eval.baselines.adapters.pc_avs import collect
    from lipsync_eval.baselines.inputs import _write_wav
    from lipsync_eval.media import open_clip

    job = sample_job(tmp_path, {})
    _write_wav(job.audio, clips.sound(14))
    folder = job.view / "results" / "id_identity_pose_pose_audio_audio" / "G_Pose_Driven_"
    folder.mkdir(parents=True)
    for i in range(10):
        cv2.imwrite(str(folder / f"G_Pose_Driven_{i}.jpg"), np.full((224, 224, 3), 20 * i + 10, np.uint8))
    levels = [int(frame.mean()) for frame in open_clip(collect(job)).frames()]
    assert np.allclose(levels, [10, 10, *range(10, 210, 20)], atol=3)
    cv2.imwrite(str(folder / "G_Pose_Driven_x.jpg"), np.zeros((224, 224, 3), np.uint8))
    with pytest.raises(BaselineError, match=r"G_Pose_Driven_x\.jpg, whose number cannot be read"):
        collect(job)


def test_what_an_earlier_run_left_is_no_result(tmp_path: Path) -> None:
    import os

    from lipsync_eval.baselines.base import newest

    job: Job = sample_job(tmp_path, {})
    (job.work / "job.json").touch()
    old = tmp_path / "old.mp4"
    old.touch()
    os.utime(old, (1, 1))
    with pytest.raises(BaselineError, match=r"wrote no \*\.mp4"):
        newest(tmp_path, "*.mp4", job)


def test_landmarks_are_handed_over_to_a_prepared_copy_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """StyleSync's patched code looks frames up by number; one without a face must be absent, so that its own rule for that holds."""
    import numpy as np

    import lipsync_eval.faces
    import lipsync_eval.media
    from lipsync_eval.baselines.patches import prepared_facts
    from lipsync_eval.types import FOUND, MISSING, Track

    adapter = get_adapter("stylesync")
    assert adapter.prepare is not None
    job = sample_job(tmp_path, {"points": "dlib68"})
    job.view.mkdir()
    with pytest.raises(BaselineError, match="baselines prepare"):
        adapter.prepare(job)
    job.repo.mkdir()
    stale = prepared_facts(adapter.record)
    (job.repo / "lipsync_eval_prepared.json").write_text(json.dumps({**stale, "patches": stale["patches"][:1]}))
    with pytest.raises(BaselineError, match="with this adapter's patches"):
        adapter.prepare(job)
    (job.repo / "lipsync_eval_prepared.json").write_text(json.dumps(prepared_facts(adapter.record)))
    (job.repo / "landmarks.npz").write_text("the user's own")
    (job.view / "landmarks.npz").symlink_to(job.repo / "landmarks.npz")
    where = np.arange(3 * 68 * 2, dtype=np.float64).reshape(3, 68, 2)
    status = np.array([FOUND, MISSING, FOUND], np.uint8)
    track = Track(np.zeros((3, 4)), where, np.ones(3, np.float32), status, "dlib68.1", np.ones(3, np.int16))
    monkeypatch.setattr(lipsync_eval.media, "open_clip", lambda path: path)
    monkeypatch.setattr(lipsync_eval.faces, "track_faces", lambda clip, landmarks: track)
    assert adapter.prepare(job) == ["landmarks of 2 of 3 frames by dlib68.1, instead of its own detector"]
    with np.load(job.view / "landmarks.npz") as held:
        assert set(held.files) == {"0", "2"}
        assert np.array_equal(held["2"], where[2])
    assert (job.repo / "landmarks.npz").read_text() == "the user's own"
    assert list(adapter.prepare(replace(job, options={}))) == []


def _one_face(monkeypatch: pytest.MonkeyPatch, side: float) -> None:
    import numpy as np

    import lipsync_eval.faces
    import lipsync_eval.media
    from lipsync_eval.types import FOUND, Track

    where = np.arange(68 * 2, dtype=np.float64).reshape(1, 68, 2)
    track = Track(
        np.array([[10.0, 20.0, 10.0 + side, 20.0 + side]]),
        where,
        np.ones(1, np.float32),
        np.full(1, FOUND, np.uint8),
        "dlib68.1",
        np.ones(1, np.int16),
    )
    monkeypatch.setattr(lipsync_eval.media, "open_clip", lambda path: path)
    monkeypatch.setattr(lipsync_eval.faces, "track_faces", lambda clip, landmarks: track)


@pytest.mark.parametrize(
    ("options", "side", "says"),
    [
        ({}, 100, ""),
        ({"preprocess": "crop"}, 512, ""),
        ({"preprocess": "extfull"}, 100, "does not work with preprocess"),
        ({}, 513, "at most 512 px"),
    ],
)
def test_sadtalker_gets_the_face_of_the_reference_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, str], side: float, says: str
) -> None:
    import numpy as np

    from lipsync_eval.baselines.patches import prepared_facts

    adapter = get_adapter("sadtalker")
    assert adapter.prepare is not None
    job = sample_job(tmp_path, {"points": "dlib68", **options})
    job.view.mkdir()
    job.repo.mkdir()
    job.reference.touch()
    (job.repo / "lipsync_eval_prepared.json").write_text(json.dumps(prepared_facts(adapter.record)))
    _one_face(monkeypatch, side)
    if says:
        with pytest.raises(BaselineError, match=says):
            adapter.prepare(job)
    else:
        assert adapter.prepare(job) == ["landmarks of the reference picture by dlib68.1, instead of its own detector"]
        assert np.load(job.view / "landmarks.npy").shape == (68, 2)
