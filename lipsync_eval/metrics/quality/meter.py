"""What metrics on single frames share: every crop of both videos is scored alone, and a clip's value is the mean."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.batch import Batch
from lipsync_eval.cache import Cache
from lipsync_eval.errors import MetricError
from lipsync_eval.metrics.base import Family, Measurement, mean_of
from lipsync_eval.types import Pair

Scorer = Callable[[NDArray[np.uint8]], float]
"""score((H, W, 3) uint8 RGB) -> a number; MetricError where the frame has none."""


class NoReference(Family):
    """One metric that scores single frames. The generated and the real video are scored alike."""

    @abstractmethod
    def scorer(self) -> Scorer:
        """What scores one frame; weights are read here."""

    @property
    @abstractmethod
    def smallest(self) -> int:
        """px, the smallest side of a crop that can be scored."""

    @property
    def metric(self) -> str:
        """The family's only id."""
        return self.specs[0].name

    def notes(self) -> Sequence[str]:
        """Sentences for every clip, e.g. on weights whose hash nobody published."""
        return ()

    def start(self, pair: Pair) -> FrameScores:
        """A meter for one pair.

        Raises:
            MetricError: the generated video has no crop, or crops that are too small.
        """
        crop = pair.gen.crop
        if crop is None:
            raise MetricError(f"{self.metric} reads crops, but the generated video has none")
        if min(crop.size) < self.smallest:
            raise MetricError(
                f"{self.metric} needs crops of at least {self.smallest} px, and the protocol's are {crop.size[0]} x "
                f"{crop.size[1]}; use a protocol with larger crops, or raw"
            )
        return FrameScores(self, pair)


class FrameScores:
    """One pair at work."""

    def __init__(self, family: NoReference, pair: Pair) -> None:
        self.family, self.pair, self.score = family, pair, family.scorer()
        self.gen = np.full(pair.n_frames, np.nan)
        self.cache, self.key = Cache(family.settings.cache_dir), self._key()
        held = self.cache.get(self.key) if self.key else None
        self.known = held is not None
        self.real = np.full(pair.gt_frames, np.nan) if held is None else held["scores"].astype(np.float64)
        self.refused: dict[str, int] = {}

    @property
    def looks_at(self) -> frozenset[str]:
        """The real crops only where there are any and the cache did not know their scores."""
        return frozenset({"gen.crop"} if self.known or self.key is None else {"gen.crop", "gt.crop"})

    def update(self, batch: Batch) -> None:
        """Score the crops of both videos."""
        for at, crop in batch.gen_own:
            try:
                self.gen[at] = self.score(crop)
            except MetricError as error:
                self.refused[str(error)] = self.refused.get(str(error), 0) + 1
        if self.known or self.key is None:
            return
        for at, crop in batch.gt_own:
            try:
                self.real[at] = self.score(crop)
            except MetricError:
                continue

    def finish(self) -> Measurement:
        """The clip's mean, and the real video's own.

        Raises:
            MetricError: no frame of the generated video has a score.
        """
        name, crop = self.family.metric, self.pair.gen.crop
        valid = 0 if crop is None else int(crop.valid[: self.pair.n_frames].sum())
        value, n = mean_of(self.gen), self.pair.n_frames
        if value is None:
            why = f": {next(iter(self.refused))}" if self.refused else ""
            raise MetricError(f"none of the {n} frames has a score ({valid} have a crop){why}")
        found = Measurement(values={name: value}, frames={name: self.gen}, notes=list(self.family.notes()))
        if missing := n - int(np.isfinite(self.gen).sum()):
            found.details[f"{name}_frames_without_score"] = missing
            why = f"; {sum(self.refused.values())} of them: {next(iter(self.refused))}" if self.refused else ""
            found.notes.append(f"{name}: {missing} of {n} frames have no crop or no score and are left out{why}")
        if self.key and not self.known:
            self.cache.put(self.key, {"scores": self.real})
        real = mean_of(self.real)
        if self.pair.gt is None:
            return found
        if real is None:
            found.notes.append(f"{name}: the real video has no score of its own: none of its frames could be scored")
        else:
            found.gt_values[name] = real
        return found

    def _key(self) -> dict[str, str] | None:
        """All that the real side's scores hang on; None where there is nothing to score."""
        side = self.pair.gt
        if side is None or side.crop is None or min(side.crop.size) < self.family.smallest:
            return None
        keys = self.family.keys(self.family.metric)
        return {
            "what": f"{self.family.metric}.{self.family.specs[0].version}",
            "clip": side.clip.digest,
            "crops": side.crop.digest(self.pair.gt_frames),
        } | keys
