"""Check every adapter against its repository at the stated commit, without running any of its code.

    python benchmarks/check_adapters.py FOLDER [--markdown]

FOLDER holds a clone (or a bare clone) of each repository as OWNER+NAME or OWNER+NAME/repo. For every adapter: the entry file is
there; its argument parser is rebuilt from the source by ast and parses the command that the adapter makes, for CPU and GPU and with
every option of the adapter set (unknown options, missing ones, wrong types and choices fail); names that the adapter relies on
(output files, folders, licences) are in the file that they were read from; patches fit. Exit 1 when anything fails.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lipsync_eval.baselines import all_adapters
from lipsync_eval.baselines.base import Adapter, Job
from lipsync_eval.baselines.testing import sample_job


@dataclass(frozen=True)
class Source:
    """What to look at in one repository."""

    parsers: tuple[str, ...]
    """Files whose add_argument calls make the parser; CLASS after ':' limits it to one class."""
    options: dict[str, str] = field(default_factory=dict)
    """A value for every option of the adapter that takes one."""
    names: tuple[tuple[str, str], ...] = ()
    """(file, text that must be in it): what the adapter takes for granted."""


SOURCES = {
    "wav2lip": Source(
        ("inference.py",),
        {"checkpoint": "c.pth", "box": "0 9 0 9", "pads": "0 10 0 0", "nosmooth": "1", "resize_factor": "2"},
        (("inference.py", "temp/result.avi"), ("README.md", "non-commercial")),
    ),
    "dinet": Source(
        ("config/config.py:DINetInferenceOptions",),
        {"checkpoint": "c.pth", "deepspeech": "d.pb", "landmarks": "landmarks", "mouth_region_size": "256"},
        (
            ("inference.py", "'_facial_dubbing.mp4'"),
            ("inference.py", "'_add_audio.mp4'"),
            ("inference.py", "random.sample"),
            ("config/config.py", "clip_training_DINet_256mouth.pth"),
        ),
    ),
    "ip_lap": Source(
        ("inference_single.py",),
        {"landmark_checkpoint": "l.pth", "renderer_checkpoint": "r.pth"},
        (
            ("inference_single.py", "'{}_N_{}_Nl_{}.mp4'"),
            ("inference_single.py", "device='cuda'"),
            ("inference_single.py", "[show_sketch, full], axis=1"),
            ("inference_single.py", "'tempfile_of_{}'"),
            ("LICENSE", "Apache License"),
        ),
    ),
    "pc_avs": Source(
        ("options/base_options.py", "options/test_options.py", "data/voxtest_dataset.py"),
        {"cropped": "1"},
        (
            ("inference.py", "'G_Pose_Driven_'"),
            ("inference.py", "idx = 0"),
            ("data/voxtest_dataset.py", "np.arange(2,"),
            ("data/voxtest_dataset.py", "'_audio_'"),
            ("options/base_options.py", "{:06}.jpg"),
            ("LICENSE", "Attribution 4.0"),
        ),
    ),
    "makeittalk": Source(
        ("main_end2end.py",),
        {"amp_lip_x": "2", "amp_lip_y": "2", "amp_pos": "0.5"},
        (
            ("main_end2end.py", "glob1('examples', '*.wav')"),
            ("src/approaches/train_image_translation.py", "examples/{}_{}.mp4"),
            ("src/approaches/train_image_translation.py", "(256 * 3, 256)"),
            ("src/approaches/train_image_translation.py", "62.5"),
            ("LICENSE.md", "NonCommercial"),
        ),
    ),
    "atvgnet": Source(
        ("code/demo.py",),
        {},
        (("code/demo.py", "'%s.mov'%save_name"), ("code/demo.py", "../temp"), ("README.md", "MIT")),
    ),
    "videoretalking": Source(
        ("utils/inference_utils.py",),
        {"exp_img": "smile", "up_face": "angry"},
        (
            ("inference.py", "'sad', 'angry', 'surprise'"),
            ("inference.py", "'temp/'+base_name"),
            ("LICENSE", "Apache License"),
        ),
    ),
    "talklip": Source(
        ("inf_demo.py",),
        {"checkpoint": "c.pth", "avhubert_root": "av"},
        (("inf_demo.py", "'{}.mp4'.format(args.save_path)"),),
    ),
    "synctalk": Source(
        ("main.py",),
        {"data": "data/May", "workspace": "model/may", "portrait": "1"},
        (
            ("nerf_triplane/utils.py", "_audio.mp4"),
            ("nerf_triplane/utils.py", "'results'"),
            ("README.md", "--test_train --asr_model ave"),
            ("LICENSE", "CC BY-NC 4.0"),
        ),
    ),
    "ad_nerf": Source(
        ("NeRFs/TorsoNeRF/run_nerf.py",),
        {"config": "c.txt", "features": "features"},
        (
            ("NeRFs/TorsoNeRF/run_nerf.py", "os.path.join(basedir, expname, args.test_save_folder)"),
            ("NeRFs/TorsoNeRF/run_nerf.py", "'result.avi'"),
            ("LICENSE", "MIT License"),
        ),
    ),
    "stylesync": Source(
        ("inference.py",),
        {"checkpoint": "c.pth", "mask": "m.jpg", "points": "dlib68"},
        (("inference.py", "args.save_root, save_name"), ("README.md", "suspend the release of the model weights")),
    ),
    "sadtalker": Source(
        ("inference.py",),
        {
            "preprocess": "full",
            "size": "512",
            "pose_style": "3",
            "still": "1",
            "enhancer": "gfpgan",
            "checkpoints": "checkpoints",
            "points": "dlib68",
        },
        (("inference.py", "save_dir+'.mp4'"), ("LICENSE", "Apache 2.0")),
    ),
    "musetalk": Source(
        ("scripts/inference.py",),
        {"bbox_shift": "2", "version": "v15", "float16": "1"},
        (
            ("scripts/inference.py", '"result_name"'),
            ("scripts/inference.py", 'f"{args.version}"'),
            ("inference.sh", "musetalkV15"),
            ("LICENSE", "MIT License"),
        ),
    ),
    "latentsync": Source(
        ("scripts/inference.py",),
        {
            "checkpoint": "c.pt",
            "config": "configs/unet/stage2.yaml",
            "steps": "20",
            "guidance": "1.5",
            "deepcache": "1",
        },
        (
            ("inference.sh", "configs/unet/stage2_512.yaml"),
            ("setup_env.sh", "latentsync_unet.pt"),
            ("LICENSE", "Apache License"),
        ),
    ),
    "gfpgan": Source(
        ("inference_gfpgan.py",),
        {"version": "1.4", "weight": "0.5"},
        (("inference_gfpgan.py", "restored_imgs"), ("LICENSE", "Apache License")),
    ),
    "gpen": Source(
        ("demo.py",),
        {"model": "GPEN-BFR-256", "in_size": "256", "channel_multiplier": "1", "narrow": "0.5", "aligned": "1"},
        (
            ("demo.py", "_GPEN"),
            ("sr_model/real_esrnet.py", "_x%d.pth"),
            ("face_detect/retinaface_detection.py", "RetinaFace-R50"),
            ("face_parse/face_parsing.py", "ParseNet-latest"),
        ),
    ),
}


class Repository:
    """Files of a repository at a commit: from git where there is one, else as they lie there."""

    def __init__(self, root: Path, repository: str, commit: str) -> None:
        name = repository.replace("/", "+")
        places = [p for p in (root / name / "repo", root / name, root / repository) if p.is_dir()]
        if not places:
            raise FileNotFoundError(f"no {name} in {root}")
        self.place, self.commit = places[0], commit
        self.git = (
            subprocess.run(
                ["git", "-C", str(self.place), "cat-file", "-e", f"{commit}^{{commit}}"], capture_output=True
            ).returncode
            == 0
        )

    def text(self, path: str) -> str:
        if not self.git:
            return (self.place / path).read_text("utf-8", "replace")
        done = subprocess.run(["git", "-C", str(self.place), "show", f"{self.commit}:{path}"], capture_output=True)
        if done.returncode:
            raise FileNotFoundError(path)
        return done.stdout.decode("utf-8", "replace")


class Strict(argparse.ArgumentParser):
    """A parser that raises instead of leaving the process, and takes no abbreviation."""

    def error(self, message: str) -> Any:
        raise ValueError(message)


def parser_of(repository: Repository, files: tuple[str, ...]) -> tuple[Strict, int]:
    """The argument parser that the files' add_argument calls describe, and how many options it has."""
    parser, n = Strict(allow_abbrev=False), 0
    for file in files:
        path, _, name = file.partition(":")
        tree: ast.AST = ast.parse(repository.text(path))
        if name:
            tree = next(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == name)
        for flags, keywords in calls(tree):
            parser.add_argument(*flags, **keywords)
            n += 1
    return parser, n


def calls(tree: ast.AST) -> Iterator[tuple[list[str], dict[str, Any]]]:
    types: dict[str, Any] = {"int": int, "float": float, "str": str, "bool": bool}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument":
            flags = [a.value for a in node.args if isinstance(a, ast.Constant)]
            keywords: dict[str, Any] = {}
            for k in node.keywords:
                if k.arg == "type" and isinstance(k.value, ast.Name):
                    keywords["type"] = types[k.value.id]
                elif k.arg in {"nargs", "action", "choices", "required", "dest"}:
                    keywords[k.arg] = ast.literal_eval(k.value)
            yield flags, keywords


def sample(root: Path, options: dict[str, str], device: str) -> Job:
    """The test kit's job, with the files that two adapters look for."""
    job = sample_job(root, options, device)
    for folder, file in (("landmarks", "clip.csv"), ("features", "clip.npy")):
        (job.repo / folder).mkdir(parents=True, exist_ok=True)
        (job.repo / folder / file).touch()
    return job


def arguments(command: list[str], entry: str) -> list[str]:
    """What the entry file's parser sees."""
    if entry in command:
        return command[command.index(entry) + 1 :]
    for flag in ("-m", "-c"):
        if flag in command[:3]:
            return command[command.index(flag) + 2 :]
    raise ValueError(f"the command does not start {entry}: {command[:4]}")


def check(adapter: Adapter, root: Path) -> tuple[list[str], list[str]]:
    """(what holds, what does not)."""
    record, good, bad = adapter.record, [], []
    source = SOURCES[record.name.removesuffix("_ref").removesuffix("_gan")]
    repository = Repository(root, record.repository, record.commit)
    repository.text(record.entry)
    good.append("at the commit" if repository.git else "files without history")
    parser, n = parser_of(repository, source.parsers)
    required = {
        k: v
        for k, v in source.options.items()
        if k in {"landmarks", "features", "config", "data", "workspace", "checkpoint", "avhubert_root"}
        or record.name == "wav2lip"
    }
    if missing := set(record.options) - set(source.options):
        bad.append(f"options without a sample here: {', '.join(missing)}")
    with tempfile.TemporaryDirectory() as folder:
        for options in (required if record.name != "wav2lip" else {}, source.options):
            for device in ("cpu", "cuda", "cuda:1"):
                command = list(adapter.command(sample(Path(folder), options, device)))  # type: ignore[misc]
                try:
                    parser.parse_args(arguments(command, record.entry))
                except ValueError as error:
                    bad.append(f"{device}: {error}")
    good.append(f"command parsed by {', '.join(source.parsers)} ({n} options)")
    for file, text in source.names:
        (good if text in repository.text(file) else bad).append(f"`{text}` in {file}")
    unfit = [f"patch of {p.file}" for p in record.patches if repository.text(p.file).count(p.old) != 1]
    bad += unfit
    if record.patches and not unfit:
        good.append("its patch fits" if len(record.patches) == 1 else f"its {len(record.patches)} patches fit")
    return good, bad


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--markdown", action="store_true")
    args = parser.parse_args()
    failed = 0
    if args.markdown:
        print("| generator | commit | checked |\n|---|---|---|")
    for name, adapter in all_adapters().items():
        if not adapter.record.repository:
            continue
        try:
            good, bad = check(adapter, args.folder)
        except (OSError, SyntaxError, StopIteration) as error:
            good, bad = [], [f"cannot be checked: {error}"]
        failed += bool(bad)
        if args.markdown:
            print(
                f"| `{name}` | {adapter.record.repository}@{adapter.record.commit[:12]} | {'; '.join(good).replace('|', ' ')}{' **FAILED: ' + '; '.join(bad) + '**' if bad else ''} |"
            )
        else:
            print(f"{name}: {'ok' if not bad else 'FAILED: ' + '; '.join(bad)} | {'; '.join(good)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
