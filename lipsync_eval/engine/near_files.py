"""The files of a pair, opened where they are or as copies of what lies at their URLs."""

from __future__ import annotations

from dataclasses import replace

from lipsync_eval.cache import NO_CACHE, Cache
from lipsync_eval.media import open_clip
from lipsync_eval.media.fetch import LocalFiles
from lipsync_eval.media.pairs import PairPaths
from lipsync_eval.results.journal import Outcome
from lipsync_eval.types import Clip
from lipsync_eval.urls import Place


def open_place(files: LocalFiles, video: Place, audio: Place | None, *, keep: int = 0, cache: Cache = NO_CACHE) -> Clip:
    """`open_clip` for files that may be elsewhere."""
    return open_clip(files.of(video), audio=None if audio is None else files.of(audio), keep=keep, cache=cache)


def real_digest(paths: PairPaths, files: LocalFiles) -> str:
    """Content of the real video, also where the generated one failed: runs are compared by it. '' where there is none.

    Raises:
        ClipError: it cannot be opened.
    """
    return "" if paths.gt is None else open_place(files, paths.gt, paths.gt_audio).digest


def with_urls(outcome: Outcome, files: LocalFiles) -> Outcome:
    """The outcome with addresses where it names temporary copies."""
    details = {
        key: {k: files.original(v) if k == "sound_file" and v else v for k, v in side.items()}
        if key in ("gen", "gt") and isinstance(side, dict)
        else side
        for key, side in outcome.details.items()
    }
    failures = [{**row, "message": files.original(row["message"])} for row in outcome.failures]
    return replace(outcome, details=details, failures=failures, notes=[files.original(n) for n in outcome.notes])
