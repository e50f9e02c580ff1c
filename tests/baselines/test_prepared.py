"""Code that needs CUDA and whose prepared copy does not: where it may run, what is refused, and when it is run anew."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import clips

from lipsync_eval.baselines import all_adapters, listing
from lipsync_eval.baselines.base import Adapter, Job, Patch
from lipsync_eval.baselines.check import check
from lipsync_eval.baselines.environments import Environment, read_environments
from lipsync_eval.baselines.manifest import ManifestEntry
from lipsync_eval.baselines.patches import prepare, why_no_cpu
from lipsync_eval.baselines.runner import GeneratorOutcome, run_all
from lipsync_eval.baselines.testing import check_adapter, sample_job
from lipsync_eval.errors import UsageError
from lipsync_eval.media import open_clip, write_video

_SCRIPT = """
import shutil, sys
device = "cuda"
if device == "cuda":
    raise SystemExit("no NVIDIA driver")
shutil.copyfile(sys.argv[1], sys.argv[2])
"""
_PATCH = Patch("run.py", 'device = "cuda"\n', 'device = "cpu"\n', "the device that there is")


def _adapter(commit: str = "", **change: object) -> Adapter:
    facts = {
        "gpu": True,
        "patches": (_PATCH,),
        "cpu_when_prepared": True,
        "imports": (),
        "weights": (),
        "entry": "run.py",
        "commit": commit,
        **change,
    }
    return Adapter(
        record=replace(all_adapters()["wav2lip"].record, **facts),
        command=lambda job: [*job.python, "run.py", str(job.video_mp4), str(job.output)],
    )  # type: ignore[arg-type]


def _source(folder: Path) -> Path:
    source = folder / "source"
    source.mkdir()
    (source / "run.py").write_text(_SCRIPT)
    return source


def _environment(folder: Path, repo: str, device: str = "cpu") -> Environment:
    path = folder / "baselines.toml"
    path.write_text(f"[wav2lip]\nrepo = '{repo}'\npython = {json.dumps(sys.executable)}\ndevice = '{device}'\n")
    return read_environments(path)["wav2lip"]


def _run(adapter: Adapter, folder: Path, repo: str, device: str = "cpu") -> GeneratorOutcome:
    clip = folder / "a.mkv"
    if not clip.exists():
        clips.write(clip, clips.frames(6, 64, 0), clips.sound(6, 0))
    return run_all(
        [(adapter, _environment(folder, repo, device))],
        [ManifestEntry(id="a", video=clip, audio=clip, reference=None, real=None)],
        folder / "gen",
        again_failed=True,
    )[0]


def test_the_copy_alone_runs_on_a_cpu(tmp_path: Path) -> None:
    adapter = _adapter()
    source = _source(tmp_path)
    refused = _run(adapter, tmp_path, "source")
    assert not refused.ok
    assert "cannot run without CUDA" in refused.message
    assert "lipsync-eval baselines prepare wav2lip" in refused.message
    prepare(adapter.record, source, tmp_path / "copy")
    assert _run(adapter, tmp_path, "copy").ok
    assert open_clip(tmp_path / "gen" / "wav2lip" / "a.mp4").n_frames == 6


def test_a_raised_revision_runs_clips_again(tmp_path: Path) -> None:
    prepare(_adapter().record, _source(tmp_path), tmp_path / "copy")
    result = tmp_path / "gen" / "wav2lip" / "a.mp4"
    first = _run(_adapter(), tmp_path, "copy")
    made = result.stat().st_mtime_ns
    assert _run(_adapter(), tmp_path, "copy") == first
    assert result.stat().st_mtime_ns == made
    assert _run(_adapter(revision=2), tmp_path, "copy").ok
    assert result.stat().st_mtime_ns > made


def test_a_gpu_may_be_asked_of_both(tmp_path: Path) -> None:
    """With device = "cuda" nothing is refused beforehand: the code itself says what it lacks."""
    _source(tmp_path)
    assert "no NVIDIA driver" in _run(_adapter(), tmp_path, "source", "cuda").message


def test_check_says_which_copy(tmp_path: Path) -> None:
    adapter = _adapter()
    source = _source(tmp_path)
    found = {f.what: f for f in check(adapter, _environment(tmp_path, "source"))}
    assert not found["device"].ok
    assert "baselines prepare wav2lip" in found["device"].message
    prepare(adapter.record, source, tmp_path / "copy")
    found = {f.what: f for f in check(adapter, _environment(tmp_path, "copy"))}
    assert "device" not in found
    assert all(f.ok for f in found.values())


def test_what_is_no_copy_of_these_patches_is_refused(tmp_path: Path) -> None:
    adapter = _adapter()
    prepare(adapter.record, _source(tmp_path), tmp_path / "copy")
    assert why_no_cpu(adapter.record, tmp_path / "copy") == ""
    for other in (
        replace(_PATCH, new='device = "mps"\n'),
        Patch("run.py", "import shutil", "import os, shutil", "more"),
    ):
        stale = replace(adapter.record, patches=(other,))
        assert "baselines prepare" in why_no_cpu(stale, tmp_path / "copy")
    assert why_no_cpu(replace(adapter.record, commit="0" * 40), tmp_path / "copy")
    never = why_no_cpu(replace(adapter.record, cpu_when_prepared=False), tmp_path / "copy")
    assert "cannot run without CUDA" in never
    assert "prepare" not in never
    assert why_no_cpu(replace(adapter.record, gpu=False), tmp_path / "nowhere") == ""


def test_other_patches_are_another_result(tmp_path: Path) -> None:
    """Two copies at the same place: what the first made is not taken for the second's."""
    source = _source(tmp_path)
    outcomes = []
    for more in ((), (Patch("run.py", "import shutil, sys\n", "import sys, shutil\n", "order"),)):
        adapter = _adapter(patches=(_PATCH, *more))
        prepare(adapter.record, source, tmp_path / "copy")
        outcomes += [_run(adapter, tmp_path, "copy"), _run(adapter, tmp_path, "copy")]
        (tmp_path / "copy").rename(tmp_path / f"old{len(more)}")
    assert all(o.ok for o in outcomes)
    assert outcomes[0] == outcomes[1]
    assert outcomes[2] == outcomes[3]
    assert outcomes[0].key != outcomes[2].key


def test_the_kit_wants_a_reason_for_it() -> None:
    says = "only for code that needs CUDA"
    assert any(says in w for w in check_adapter(_adapter("a" * 40, gpu=False)))
    assert any(says in w for w in check_adapter(_adapter("a" * 40, patches=())))
    assert check_adapter(_adapter("a" * 40)) == []


def test_the_list_says_where_each_runs() -> None:
    lines = {line.split()[0]: line for line in listing()}
    assert "CPU or GPU" in lines["ip_lap"]
    assert "CPU or GPU" in lines["pc_avs"]
    assert "CPU or GPU" not in lines["dinet"]


@pytest.mark.parametrize(("device", "number"), [("cpu", "-1"), ("cuda", "0"), ("cuda:1", "0")])
def test_pc_avs_names_its_device_by_a_number(tmp_path: Path, device: str, number: str) -> None:
    """Its code reads --gpu_ids with int(); the chosen GPU is the only visible one."""
    command = all_adapters()["pc_avs"].command
    assert command is not None
    line = list(command(sample_job(tmp_path, {}, device)))
    assert line[line.index("--gpu_ids") + 1] == number


def _panels(job: Job, path: Path, levels: tuple[int, ...]) -> None:
    """A video of panels, each of one brightness."""
    path.parent.mkdir(parents=True)
    frame = np.repeat(np.repeat(np.array(levels, np.uint8), 32)[None, :, None], 32, axis=0).repeat(3, axis=2)
    (job.work / "job.json").touch()
    write_video(path, (frame for _ in range(5)), audio=clips.sound(5), codec="h264", crf=10)


@pytest.mark.parametrize(
    ("name", "place", "levels", "kept"),
    [
        ("ip_lap", lambda job: job.work / "result" / "videoresult_N_25_Nl_15.mp4", (20, 200), 200),
        (
            "makeittalk",
            lambda job: job.view / "examples" / "lipsync_pred_fls_lipsync_audio_embed.mp4",
            (20, 200, 90),
            200,
        ),
    ],
)
def test_the_panel_with_the_result_is_kept(
    tmp_path: Path, name: str, place: Callable[[Job], Path], levels: tuple[int, ...], kept: int
) -> None:
    """Both show other frames beside the result."""
    job = sample_job(tmp_path, {})
    _panels(job, place(job), levels)
    collect = all_adapters()[name].collect
    assert collect is not None
    clip = open_clip(collect(job))
    assert (clip.width, clip.height, clip.n_frames) == (32, 32, 5)
    assert clip.audio is not None
    assert [int(frame[8:24, 8:24].mean()) for frame in clip.frames()] == pytest.approx([kept] * 5, abs=4)


def test_a_result_that_cannot_be_cut_fails_its_clip_alone(tmp_path: Path) -> None:
    """An adapter that opens what the generator wrote must not end the run when that is broken."""
    from lipsync_eval.baselines.adapters._frames import cut

    source = _source(tmp_path)
    (source / "run.py").write_text("import sys\nopen(sys.argv[2], 'wb').write(b'no video' * 100)\n")
    adapter = replace(_adapter(gpu=False), collect=lambda job: cut(job.output, job, lambda f: f))
    outcome = _run(adapter, tmp_path, "source")
    assert not outcome.ok
    assert "its files cannot be used: 'output.mp4' is not a video" in outcome.message


def test_nothing_outside_the_copy_is_changed(tmp_path: Path) -> None:
    source = _source(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (source / "run.py").rename(tmp_path / "elsewhere" / "run.py")
    (source / "code").symlink_to(tmp_path / "elsewhere")
    record = _adapter(patches=(replace(_PATCH, file="code/run.py"),)).record
    with pytest.raises(UsageError, match=r"code/run\.py lies behind a link out of the repository"):
        prepare(record, source, tmp_path / "copy")
    assert (tmp_path / "elsewhere" / "run.py").read_text() == _SCRIPT
    assert not (tmp_path / "copy").exists()
    (source / "code").unlink()
    (source / "code").mkdir()
    (source / "code" / "run.py").symlink_to(
        tmp_path / "elsewhere" / "run.py"
    )  # a linked file becomes a file of the copy's own
    prepare(record, source, tmp_path / "copy")
    assert (tmp_path / "elsewhere" / "run.py").read_text() == _SCRIPT
