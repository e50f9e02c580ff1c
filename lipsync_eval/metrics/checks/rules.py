"""What a MetricSpec must say to be complete, and what a Measurement must hold to be used."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from lipsync_eval.errors import UsageError
from lipsync_eval.metrics.base import Measurement, MetricSpec
from lipsync_eval.options import Option, clean

NEEDS: Final = frozenset(
    {
        "gen.crop", "gt.crop", "gen.points", "gt.points", "gen.frames", "gt.frames",
        "gen.audio", "gt.audio", "reference", "weights", "npz", "experiment",
    }
)  # fmt: skip
"""All that a metric may ask for."""
_CHOICES: Final = {
    "direction": ("up", "down", "zero", None),
    "pooling": ("clip-mean", "pooled"),
    "group": ("core", "weights", "user-file", "opt-in"),
    "real_video": ("none", "set", "person", "content"),
}


def spec_faults(spec: MetricSpec) -> Iterator[str]:
    """Everything that is wrong with a spec, as sentences; nothing for a good one."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", spec.name):
        yield f"name {spec.name!r}: write lower case letters, digits and underscores"
    for field in ("title", "unit", "summary", "reads", "citation", "reference"):
        text = getattr(spec, field)
        if not isinstance(text, str) or not text.strip() or text != text.strip():
            yield f"{spec.name}: {field} is {text!r}; state it (unit '1' for none, reference 'ours' where there is none)"
    for field, choices in _CHOICES.items():
        if getattr(spec, field) not in choices:
            yield f"{spec.name}: {field} is {getattr(spec, field)!r}; choose from {', '.join(map(str, choices))}"
    if unknown := set(spec.needs) - NEEDS:
        yield f"{spec.name}: needs {sorted(unknown)}, which nobody provides; there are {', '.join(sorted(NEEDS))}"
    if not any(need.startswith("gen.") or need == "npz" for need in spec.needs):
        yield f"{spec.name}: needs nothing of the generated video"
    if spec.group == "core" and (spec.weights or "weights" in spec.needs):
        yield f"{spec.name}: group core means no download, but it needs weights"
    if spec.weights and "weights" not in spec.needs:
        yield f"{spec.name}: names weights {spec.weights}, but does not say so in needs"
    if spec.real_video == "none" and any(need.startswith("gt.") for need in spec.needs):
        yield f"{spec.name}: needs {', '.join(sorted(n for n in spec.needs if n.startswith('gt.')))}, but says that it needs no real video"
    yield from _number_faults(spec)


def option_faults(options: Sequence[Option]) -> Iterator[str]:
    """Everything that is wrong with what a family declares about its options; nothing for good ones."""
    for option in options:
        if not re.fullmatch(r"[a-z][a-z0-9_.]*", option.name) or option.name.startswith("protocol."):
            yield f"option {option.name!r}: write lower case letters, digits, underscores and points; protocol. is taken"
        for field in ("heading", "help"):
            if not getattr(option, field).strip() or "\n" in getattr(option, field):
                yield f"option {option.name}: {field} must be one line of text"
        if (option.kind == "choice") != bool(option.choices):
            yield f"option {option.name}: choices belong to the kind choice, and only to it"
        elif option.default:
            try:
                clean(option, option.default)
            except UsageError as error:
                yield f"option {option.name}: its default is none of its values: {error}"
    if len({option.name for option in options}) < len(options):
        yield "two options have one name"


def _number_faults(spec: MetricSpec) -> Iterator[str]:
    low, high = spec.range
    if math.isnan(low) or math.isnan(high) or not low < high:
        yield f"{spec.name}: range {spec.range} is not (low, high)"
    if spec.direction == "zero" and not low <= 0 <= high:
        yield f"{spec.name}: direction zero, but 0 is outside the range {spec.range}"
    if not 0 <= spec.decimals <= 9:
        yield f"{spec.name}: decimals is {spec.decimals}; choose 0 to 9"
    if not 0 <= spec.tolerance < math.inf:
        yield f"{spec.name}: tolerance is {spec.tolerance}; state the parity bound, 0 or more"
    if spec.version < 1:
        yield f"{spec.name}: version is {spec.version}; count from 1"


def compares(spec: MetricSpec) -> bool:
    """Whether a metric sets the generated video's frames or landmarks against the real video's."""
    return bool(spec.needs & {"gt.crop", "gt.points", "gt.frames"}) and spec.direction in ("up", "down")


def measurement_faults(found: Measurement, specs: Sequence[MetricSpec], n_frames: int) -> Iterator[str]:
    """Everything that is wrong with what a meter returned for a clip of `n_frames`; nothing for a good one.

    Args:
        found: the measurement.
        specs: of the metrics that were asked for.
        n_frames: length of the clip.
    """
    by_name = {spec.name: spec for spec in specs}
    failed = {failure.metric for failure in found.failures}
    for name in {*found.values, *found.gt_values, *found.frames, *found.states, *failed} - set(by_name):
        yield f"returns {name}, which was not asked for"
    for name, spec in by_name.items():
        there = name in (found.states if spec.pooling == "pooled" else found.values)
        value = found.values.get(name)
        if not there and name not in failed:
            yield f"{name}: no value and no failure"
        elif spec.pooling == "clip-mean" and there and (value is None) != (name in failed):
            yield f"{name}: value {value}, but {'a' if name in failed else 'no'} failure; None goes with a failure, a number without"
        for kind, number in (("value", value), ("gt_value", found.gt_values.get(name))):
            if number is not None and not (isinstance(number, float) and spec.range[0] <= number <= spec.range[1]):
                yield f"{name}: {kind} {number!r} is no float in {spec.range}"
        if name in found.gt_values and compares(spec):
            yield f"{name}: gives a gt_value, but compares with the real video, which has no score of its own"
    for name, frames in found.frames.items():
        if frames.shape != (n_frames,) or frames.dtype != np.float64 or np.isinf(frames).any():
            yield f"{name}: frames are {frames.shape} {frames.dtype}; give ({n_frames},) float64, NaN where a frame has no value"
    yield from _text_faults(found)


def _text_faults(found: Measurement) -> Iterator[str]:
    if not all(isinstance(note, str) and note.strip() for note in found.notes):
        yield f"notes must be sentences, got {found.notes}"
    try:
        json.dumps(found.details, allow_nan=False)
    except (TypeError, ValueError) as error:
        yield f"details cannot be written as JSON: {error}"
