"""Which face the run follows through each video of a pair."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from lipsync_eval.engine.tools import MeasuringTools
from lipsync_eval.errors import ClipError, FaceError
from lipsync_eval.features.speaker import Chosen, follow_same, follow_speaker
from lipsync_eval.types import Clip, Track

WORDS: Final[Mapping[str, Literal["generated", "real"]]] = {"gen": "generated", "gt": "real"}


@dataclass(frozen=True, slots=True)
class Face:
    """The face of one video."""

    track: Track
    people: list[dict[str, Any]] | None = None
    """With --face speaking: everybody's score."""


def follow_faces(
    tools: MeasuringTools, sides: Mapping[str, Clip], tell: Callable[[str], None] = lambda side: None
) -> dict[str, Face | ClipError]:
    """The face of each video, or why there is none.

    With --face speaking the real video's speaker is told by its own audio. Where both videos show the same content
    (--setting self) the generated one follows the person in the same place; else each video is told by its own audio.

    Args:
        tools: of the run.
        sides: 'gen' and, where there is one, 'gt'.
        tell: told which side is under way.
    """
    found: dict[str, Face | ClipError] = {}
    for side in ("gt", "gen") if tools.settings.face == "speaking" else ("gen", "gt"):
        if side in sides:
            tell(side)
            try:
                found[side] = _follow(tools, sides, side, found.get("gt"))
            except ClipError as error:
                found[side] = type(error)(f"{WORDS[side]} video: {error}")
    return {side: found[side] for side in sides}


def _follow(tools: MeasuringTools, sides: Mapping[str, Clip], side: str, real: Face | ClipError | None) -> Face:
    clip = sides[side]
    if tools.settings.face != "speaking":
        return Face(tools.track(clip))
    if side == "gen" and "gt" in sides and tools.settings.setting == "self":
        if not isinstance(real, Face):
            raise FaceError(f"follows the person who speaks in the real one, and who that is is not known: {real}")
        alone = real.people is not None and len(real.people) == 1
        return _face(follow_same(tools.settings, clip, tools.cache, sides["gt"], real.track, alone=alone))
    return _face(follow_speaker(tools.settings, clip, tools.cache))


def _face(chosen: Chosen) -> Face:
    return Face(chosen.track, chosen.people)
