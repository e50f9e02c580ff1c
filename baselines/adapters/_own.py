"""This package's own generators: what all their records state, and the command line that runs them."""

from __future__ import annotations

from collections.abc import Mapping

from lipsync_eval.baselines.base import Job, Record, Reference, Weights

LICENCE = "MIT (the code); a checkpoint has the licence of what it was trained on"


def trained_by(maker: str) -> Weights:
    """The option `checkpoint`: a folder that the command `maker` (without `lipsync-eval`) writes; none is published."""
    return Weights(file="", option="checkpoint", where=f"a folder that `lipsync-eval {maker}` wrote; none is published")


def own_record(
    *,
    name: str,
    title: str,
    paper: str,
    weights: tuple[Weights, ...],
    resolution: str,
    options: Mapping[str, str],
    checked: str,
    notes: tuple[str, ...],
    licence: str = LICENCE,
    reference: Reference = "given",
) -> Record:
    """The record of a generator that is part of this package; arguments as `Record` has them.

    Args:
        reference: "given": the run's reference image is among its needs.
    """
    return Record(
        name=name,
        title=title,
        repository="",
        commit="",
        licence=licence,
        paper=paper,
        python="3.11 or later",
        torch="2.4 or later",
        weights=weights,
        imports=("lipsync_eval",),
        entry="",
        gpu=False,
        fps="anything in, the same out",
        resolution=resolution,
        audio="16 kHz",
        reference=reference,
        needs=("video", "audio", "image") if reference == "given" else ("video", "audio"),
        options=options,
        checked=checked,
        notes=notes,
    )


def dub_line(job: Job, generator: str, *more: str, reference: bool = True) -> list[str]:
    """`lipsync-eval GENERATOR dub` for one clip, in the interpreter of baselines.toml.

    Args:
        job: the clip; its option `checkpoint` must be set.
        generator: name of the command's group, e.g. 'radio'.
        more: further arguments.
        reference: whether the generator takes --reference.

    Raises:
        BaselineError: no option `checkpoint`.
    """
    return [
        *job.python,
        *("-P", "-m", "lipsync_eval", generator, "dub"),
        *("--checkpoint", str(job.repo / job.option("checkpoint"))),
        *("--device", job.device),
        *("--video", str(job.video)),
        *("--audio", str(job.audio)),
        *(("--reference", str(job.reference)) if reference else ()),
        *("--length", "shortest"),
        *("--out", str(job.output)),
        *more,
    ]
