"""Which metrics a run can have, by what it knows of real videos: the same speech, the person in another speech, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lipsync_eval.errors import UsageError
from lipsync_eval.metrics.base import RealVideo
from lipsync_eval.metrics.registry import family_of, get_spec
from lipsync_eval.options import value_of
from lipsync_eval.types import Settings

WHY: dict[RealVideo, str] = {
    "set": "compare with a set of real videos",
    "person": "compare with a real video of the person",
    "content": "compare with the real video of the same speech, moment by moment",
}
_STATS = "--fid-stats FILE or --fvd-stats FILE"
CROSS = (
    "in the setting cross the real video shows other speech, and this metric takes it for the same: measured only because it was "
    "named, as in the setting self"
)
"""The note of a score that was forced."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """What is left of the metrics asked for."""

    metrics: tuple[str, ...]
    warnings: tuple[str, ...]
    """Which were left out of groups, or are measured against advice, and why."""
    forced: frozenset[str]
    """Metrics that were named although the setting does not suit them."""


def check_settings(settings: Settings, *, real: bool) -> None:
    """Refuse settings that need a real video of the same speech where there is none.

    Args:
        settings: of the run.
        real: whether the run has real videos.

    Raises:
        UsageError: --setting cross without GT, --audio gt or --crop-from gt without GT or in the setting cross.
    """
    if real and settings.setting == "self":
        return
    if not real and settings.setting == "cross":
        raise UsageError("--setting cross says what the real videos show, and no GT is given; give GT, or leave it out")
    why = "in the setting cross the real video shows other speech" if real else "no GT is given"
    if settings.audio == "gt":
        raise UsageError(
            f"--audio gt scores the real video's audio, but {why}; leave it out, or put the audio beside GEN"
        )
    from lipsync_eval.protocols import get

    declared = get(settings.protocol, settings.protocol_options).spec.options
    if (
        any(o.name == "crop_from" for o in declared)
        and value_of(declared, settings.protocol_options, "crop_from") == "gt"
    ):
        raise UsageError(
            f"--crop-from gt (of protocol {settings.protocol}) cuts the generated video by the real one's landmarks, but {why}; "
            "use own or auto"
        )


def fitting(chosen: Sequence[str], text: str, settings: Settings, *, real: bool) -> Fitting:
    """Leave out of groups what needs other real videos than the run has; refuse what was named.

    Args:
        chosen: ids, from select(text).
        text: the --metrics value.
        settings: of the run.
        real: whether the run has real videos.

    Raises:
        UsageError: without GT a metric was named that needs it, or no metric is left.
    """
    named = {part.strip() for part in text.split(",")}
    if real and settings.setting == "self":
        return Fitting(tuple(chosen), (), frozenset())
    if real:
        unfit = [m for m in chosen if get_spec(m).real_video == "content"]
    else:
        unfit = [m for m in chosen if get_spec(m).real_video != "none" and not _brings(m, settings)]
    asked = [m for m in unfit if m in named]
    if asked and not real:
        raise UsageError(f"no GT is given, and these metrics need real videos:\n{_reasons(asked)}\n{_remedy(asked)}")
    left = [m for m in unfit if m not in named]
    kept = tuple(m for m in chosen if m not in left)
    if not kept:
        raise UsageError(
            f"--metrics {text!r} leaves no metric: all of them need real videos "
            f"{'of the same speech, and --setting cross says that GT shows other speech' if real else 'and no GT is given'}:\n{_reasons(left)}"
        )
    warnings = []
    if left and real:
        warnings.append(
            f"--setting cross: GT shows other speech, so metrics that take it for the same are left out: {', '.join(left)} "
            "(name one to force it)"
        )
    elif left:
        warnings.append(f"no GT is given: metrics that need real videos are left out: {', '.join(left)}")
    if asked:
        warnings.append(f"{', '.join(asked)}: {CROSS}")
    return Fitting(kept, tuple(warnings), frozenset(asked))


def _brings(metric: str, settings: Settings) -> bool:
    return family_of(metric)(settings, frozenset({metric})).brings_real


def _reasons(metrics: Sequence[str]) -> str:
    kinds: dict[RealVideo, list[str]] = {}
    for metric in metrics:
        kinds.setdefault(get_spec(metric).real_video, []).append(metric)
    return "\n".join(f"  {', '.join(names)}: {WHY[kind]}" for kind, names in kinds.items())


def _remedy(metrics: Sequence[str]) -> str:
    """What to do about named metrics without GT."""
    statistics = any(get_spec(m).real_video == "set" for m in metrics)
    instead = f" (fid and fvd also take the statistics of real videos: {_STATS})" if statistics else ""
    return f"Give GT, or leave them out{instead}; `lipsync-eval list` says what each metric needs."
