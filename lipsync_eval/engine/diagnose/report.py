"""A diagnosis as JSON and as text."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

import numpy as np

from lipsync_eval.engine.diagnose.findings import Finding
from lipsync_eval.engine.diagnose.look import Look
from lipsync_eval.features import voice
from lipsync_eval.features.mouth_mel import SHIFT, shipped
from lipsync_eval.features.speaker import rows, signature
from lipsync_eval.types import FPS, RATE, Float, Json
from lipsync_eval.version import __version__

FORM: Final = 1
"""+1 whenever a key of the JSON is removed or changes its meaning."""


def as_json(seen: Look, found: list[Finding]) -> dict[str, Json]:
    """Everything that was measured, and the sentences."""
    clip = seen.clip
    audio = clip.audio
    return {
        "diagnose": FORM,
        "version": __version__,
        "clip": str(clip.path),
        "sha256": clip.digest,
        "audio_file": None if audio is None or audio.source == clip.path else str(audio.source),
        "frames": clip.n_frames,
        "width": clip.width,
        "height": clip.height,
        "source_fps": round(clip.source_fps, 3),
        "repeated_frames": seen.held,
        "cuts": list(seen.people.cuts),
        "notes": [*clip.notes, *(audio.notes if audio is not None else ())],
        "file": None if seen.facts is None else asdict(seen.facts),
        "speech": _speech(seen),
        "background": _background(seen),
        "people": _people(seen),
        "sync": _sync(seen),
        "findings": [asdict(finding) for finding in found],
    }


def as_text(seen: Look, found: list[Finding]) -> str:
    """What is printed: a line for what was found, then one for each sentence."""
    problems = [finding.about for finding in found if finding.level == "problem"]
    head = (
        f"{len(problems)} problem{'s' if len(problems) > 1 else ''} ({', '.join(dict.fromkeys(problems))})"
        if problems
        else "nothing found that explains a low score"
    )
    return "\n".join([f"{seen.clip.path.name}: {head}", *(f"  {f.level:8} {f.about:11} {f.text}" for f in found)])


def _speech(seen: Look) -> Json:
    if seen.speech is None:
        return None
    return {
        "network": voice.signature(),
        "share": None if seen.speech_share is None else round(seen.speech_share, 4),
        "seconds": [[round(a / RATE, 3), round(b / RATE, 3)] for a, b in seen.speech.tolist()],
    }


def _background(seen: Look) -> Json:
    under = seen.background
    if under is None:
        return None
    return {
        "speech_over_background_db": round(under.ratio, 1),
        "kind": under.kind,
        "flatness": round(under.flatness, 3),
        "speech_dbfs": round(under.level, 1),
    }


def _people(seen: Look) -> Json:
    heard = seen.heard
    return {
        "found": seen.people.found,
        "speaker": seen.speaker + 1 if seen.speaker is not None and seen.sure else None,
        "rule": signature(),
        "scores": rows(heard, seen.speaker if seen.sure else None) if heard else [],
    }


def _sync(seen: Look) -> Json:
    return {
        "curve": "syncnet" if seen.syncnet else "mouth_mel",
        "offsets": list(range(-SHIFT, SHIFT + 1)),
        "certain_from": shipped().limit,
        "mouth_mel": [None if one.found is None else _numbers(one.found.curve) for one in seen.heard],
        "halves": list(seen.halves),
        "syncnet_weights": seen.syncnet_weights or None,
        "syncnet_missing": seen.syncnet_missing or None,
        "syncnet": [
            {
                "person": curve.person + 1,
                "lse_c": round(curve.lse_c, 4),
                "lse_d": round(curve.lse_d, 4),
                "av_offset": curve.offset,
                "distance": _numbers(curve.mean),
            }
            for curve in seen.syncnet
        ],
        "fps": FPS,
    }


def _numbers(values: Float) -> list[float | None]:
    return [round(float(x), 5) if np.isfinite(x) else None for x in values]
