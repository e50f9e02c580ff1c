"""One person's video as training data, and its mixture with general data (StyleSync section 4)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from lipsync_eval.baselines.kit.configuration.sections import DataConfig
from lipsync_eval.baselines.kit.data.holdout import Pool, Span
from lipsync_eval.baselines.kit.data.inputs import ModelInput
from lipsync_eval.baselines.kit.data.layouts import Source
from lipsync_eval.baselines.kit.data.shards import Manifest, Segment, save_manifest, write_shard
from lipsync_eval.baselines.kit.data.windows import Sample, TrainingSet, Windows
from lipsync_eval.baselines.kit.progress import Say
from lipsync_eval.baselines.stylesync.config import StyleSyncConfig
from lipsync_eval.baselines.stylesync.data.inputs import model_input, options
from lipsync_eval.errors import UsageError

SHARD = "shard-000000-0000.safetensors"


def prepare_person(video: Path, audio: Path | None, folder: Path, config: StyleSyncConfig, say: Say) -> None:
    """Cut the crops of one video into a new prepared folder.

    Args:
        video: the person's video.
        audio: its own speech where the file has none; None: the video's audio.
        folder: of the shard and manifest.
        config: of the base run.
        say: progress.

    Raises:
        ClipError: no face, no audio, or it cannot be decoded.
    """
    from lipsync_eval.baselines.kit.data.cutting import segments
    from lipsync_eval.files import sha256

    m = config.model
    how = options(m.size, m.align, min_frames=model_input(config).window)
    source = Source(video, video.name, video.name, None, audio)
    found: list[Segment] = list(segments(source, how))
    folder.mkdir(parents=True, exist_ok=True)
    shard = write_shard(folder / SHARD, found)
    save_manifest(folder, Manifest(how.preprocessing(), [shard], {video.name: sha256(video)}))
    say(f"{video.name}: {sum(s.entry.frames for s in found)} frames with a face")


def open_person(folder: Path, model: ModelInput, holdout: str) -> Pool:
    """The person's frames. With 'none' all are trained on, and validation looks at training frames.

    Raises:
        UsageError: an unknown rule, or too few frames.
    """
    if holdout != "none" and not holdout.startswith("tail:"):
        raise UsageError(f"personal.holdout {holdout!r} is not known; give none or tail:SHARE")
    if holdout != "none":
        return Pool(DataConfig(folder=folder, holdout=holdout), model)
    pool = Pool(DataConfig(folder=folder, holdout="tail:0.5"), model)
    whole = {(s.shard.file, s.number): replace(s, start=0, stop=s.entry.frames) for s in (*pool.train, *pool.held_out)}
    pool.train = pool.held_out = list(whole.values())
    return pool


def tiles(spans: list[Span]) -> list[tuple[Span, int]]:
    """Windows (span, first frame) that hold every frame: side by side, the last of a span moved left to end with it."""
    found = []
    for s in spans:
        last = s.start + s.windows - 1
        found += [(s, min(start, last)) for start in range(s.start, s.stop, s.window)]
    return found


class PersonalSet(Dataset[Sample]):
    """Sample k of a personalisation: even k of the person, odd k of the general data; all of the person without these.

    The person's samples go through all windows (`tiles`) once in every epoch, in an order drawn from (seed, epoch); the
    reference is another random frame of the video.
    """

    def __init__(self, person: Pool, general: Pool | None, seed: int) -> None:
        self.tiles, self.seed = tiles(person.train), seed
        self.windows = Windows(person)
        self.general = None if general is None else TrainingSet(general, seed)

    @property
    def epoch(self) -> int:
        """Windows of the person in an epoch."""
        return len(self.tiles)

    def window(self, k: int) -> tuple[Span, int, int]:
        """Span, first frame and reference frame of the person's k-th sample."""
        number, at = divmod(k, self.epoch)
        order = np.random.default_rng([self.seed, 2, number]).permutation(self.epoch)
        span, start = self.tiles[int(order[at])]
        outside = [i for i in range(span.start, span.stop) if not start <= i < start + span.window]
        rng = np.random.default_rng([self.seed, 3, k])
        return span, start, int(rng.choice(outside or range(span.start, span.stop)))

    def __getitem__(self, k: int) -> Sample:
        """A window of five consecutive frames with one reference."""
        if self.general is not None and k % 2:
            return self.general[k // 2]
        span, start, reference = self.window(k if self.general is None else k // 2)
        return self.windows.window(span, start, [reference] * span.window)


def steps(person: Pool, epochs: int, batch: int, mixed: bool) -> int:
    """Training steps in which the person's windows are seen `epochs` times."""
    each = batch // 2 if mixed else batch
    return -(-epochs * len(tiles(person.train)) // each)
