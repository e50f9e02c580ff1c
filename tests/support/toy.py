"""A toy generator on the kit, as unlike RADIO as the kit allows: what a further generator's package has to hold.

Box alignment that stretches and looks at neighbouring frames, loudness computed from samples instead of a stored mel, a
stored array of its own, one reference for a window, a generator that takes a stored array and joins features by
concatenation, a whole-video loss that begins later, a sync discriminator with a contrastive loss, dubbing in two passes.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from lipsync_eval.baselines.kit.configuration.sections import Kind, RunConfig, Section, TrainConfig
from lipsync_eval.baselines.kit.data.cutting import Options
from lipsync_eval.baselines.kit.data.holdout import Pool
from lipsync_eval.baselines.kit.data.inputs import Levels, ModelInput
from lipsync_eval.baselines.kit.data.windows import to_frames, to_tensor
from lipsync_eval.baselines.kit.network.stylegan import EqualLinear
from lipsync_eval.baselines.kit.sync.network import SyncNetwork
from lipsync_eval.baselines.kit.sync.recipe import SyncRecipe
from lipsync_eval.baselines.kit.sync.settings import SyncAugmentConfig, SyncTrainConfig
from lipsync_eval.baselines.kit.training.recipe import Adversary
from lipsync_eval.baselines.kit.training.terms import Objective, Term, adversarial_term, pixel_term
from lipsync_eval.warp import render

SIZE, WIDTH = 24, 8


class ModelConfig(Section):
    hidden: int = 8


class ToyTrain(TrainConfig):
    steps: int = 4
    batch: int = 2
    validate_every: int = 2
    validation_windows: int = 2
    save_every: int = 2
    log_every: int = 1
    lr: float = 1e-2
    lr_discriminator: float = 1e-3
    betas: tuple[float, float] = (0.5, 0.999)
    betas_discriminator: tuple[float, float] = (0.5, 0.999)


class ToyConfig(RunConfig):
    name: str = "toy"
    model: ModelConfig = ModelConfig()
    train: ToyTrain = ToyTrain()
    sync_train: SyncTrainConfig = SyncTrainConfig()


PRESETS = {"toy": {}, "toy-wide": {"model": {"hidden": 16}}}
TOY, TOY_SYNC = Kind("toy", ToyConfig, "toy train"), Kind("toy-sync", ToyConfig, "toy train-sync")


@dataclass(frozen=True)
class Box:
    """The landmarks' bounding box, averaged over three frames and stretched to a square."""

    description: str = "toy box, mean of 3"
    face_box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)

    def matrices(self, points, size):
        low, high = points.min(1), points.max(1)
        padded = np.pad(np.concatenate([low, high], 1), ((1, 1), (0, 0)), mode="edge")
        x0, y0, x1, y1 = np.mean([padded[:-2], padded[1:-1], padded[2:]], axis=0).T
        sx, sy, zero = size / (x1 - x0), size / (y1 - y0), np.zeros(len(points))
        return np.stack([np.stack([sx, zero, -sx * x0], 1), np.stack([zero, sy, -sy * y0], 1)], 1)

    def crop(self, frame, points, matrix, size):
        return render(frame, matrix, (size, size))


@dataclass(frozen=True)
class Loudness:
    """Two bands (level and its change) at 50 columns a second; a window is 4 columns."""

    levels: Levels = Levels(-1.0, 1.0, 0.025)  # noqa: RUF009

    def whole(self, samples):
        blocks = np.pad(samples, (0, -len(samples) % 320)).reshape(-1, 320)
        level = np.maximum(-1, 1 + np.log10(np.sqrt((blocks**2).mean(1)) + 1e-3) / 1.5)
        return np.stack([level, np.diff(level, prepend=level[:1])], 1).astype(np.float32)

    def window(self, whole, second):
        at = np.clip(round(second * 50) + np.arange(-1, 3), 0, len(whole) - 1)
        return whole[at].T

    def stored(self, frame):
        return None


def opening(points):
    """(T, 68, 2) -> (T, 1) float32 mouth opening over the face's height."""
    height = np.ptp(points[..., 1], axis=1)
    return (np.linalg.norm(points[:, 62] - points[:, 66], axis=1) / height)[:, None].astype(np.float32)


@dataclass(frozen=True)
class Openings:
    """A stored array."""

    name: str = "openings"
    description: str = "inner lips over height"

    def of_video(self, clip, track):
        found = opening(track.points)
        return lambda start, stop: found[start:stop]


INPUT = ModelInput(SIZE, Box(), Loudness(), window=3, references="one", arrays=(Openings(),))


def options(**more):
    return Options(alignment=INPUT.alignment, size=SIZE, arrays=INPUT.arrays, **more)


def pool_of(config):
    return Pool(config.data, INPUT)


class ToyGenerator(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.see = nn.Conv2d(6, WIDTH, 3, padding=1)
        self.norm = nn.BatchNorm2d(2 * WIDTH)
        self.hear = EqualLinear(2 * 4 + 1, config.hidden, activate=True, lr_mul=0.01)
        self.style = nn.Linear(config.hidden, WIDTH)
        self.out = nn.Conv2d(2 * WIDTH, 3, 3, padding=1)

    def forward(self, target, reference, audio, openings):
        seen = self.see(torch.cat([target * (torch.arange(SIZE) < SIZE // 2)[:, None], reference], 1))
        style = self.style(self.hear(torch.cat([audio.flatten(1), openings], 1)))
        joined = torch.cat([seen, style[:, :, None, None].expand_as(seen)], 1)  # concat injection
        return torch.tanh(self.out(F.leaky_relu(self.norm(joined))))


def read_openings(windows, span, start):
    """The generator's own input, from the stored array."""
    return {"openings": torch.from_numpy(windows.array(span, "openings", start, start + span.window))}


def read_whole(windows, span, start, most=40):
    """The whole entry, padded: what a whole-video loss reads."""
    count = min(span.entry.frames, most)
    frames = windows.tensor(span, range(count))
    padded = F.pad(frames, (0, 0, 0, 0, 0, 0, 0, most - count))
    return {"whole": padded, "whole_frames": torch.tensor(count), "whole_start": torch.tensor(start)}


def brightness_loss(made):
    """Mean brightness over the real video with the generated window in it, against the real one."""
    more, values = made.sample.more, []
    for b, window in enumerate(made.windows):
        start, count = int(more["whole_start"][b]), int(more["whole_frames"][b])
        real = more["whole"][b, :count]
        spliced = torch.cat([real[:start], window, real[start + len(window) :]])
        values.append((spliced.mean() - real.mean()).abs())
    return torch.stack(values).mean()


class ToyRecipe:
    kind = TOY
    readers = (read_openings,)

    def __init__(self, config):
        self.config, self.train, self.workers = config, config.train, config.data.workers

    def generator(self):
        return ToyGenerator(self.config.model)

    def adversary(self):
        return Adversary(nn.Sequential(nn.Conv2d(3, 4, 4, 4), nn.LeakyReLU(0.2), nn.Flatten(), Last()))

    def objective(self, device):
        whole = Term("brightness", 0.5, brightness_loss, reader=read_whole, begins=2)
        return Objective((pixel_term(1.0), adversarial_term(0.1), whole), notes=("toy notes",))

    def groups(self, generator):
        return [{"params": list(generator.parameters()), "lr": self.train.lr}]

    def generate(self, generator, sample):
        inputs = (sample.target, sample.reference, sample.audio, sample.more["openings"])
        return generator(*(x.flatten(0, 1) for x in inputs))

    def shown(self, target):
        return target


class Last(nn.Module):
    """(N, 4 * 6 * 6) -> (N,)."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4 * (SIZE // 4) ** 2, 1)

    def forward(self, x):
        return self.linear(x).squeeze(1)


class ToySync(SyncNetwork):
    width = 8

    def __init__(self):
        super().__init__()
        self.seen, self.heard = nn.Linear(3 * 3 * SIZE * SIZE, 8), nn.Linear(8, 8)

    def look(self, frames):
        return self.seen(frames.flatten(1))

    def code(self, features):
        return features

    def hear(self, audio):
        return self.heard(audio.flatten(1))

    def late(self):
        return list(self.heard.parameters())


def info_nce(cosines, off, temperature=0.1):
    """Every window against the audio of its own span's other windows."""
    logits = (cosines / temperature).masked_fill(~(off | torch.eye(len(off), dtype=torch.bool)), -torch.inf)
    own = torch.arange(len(off))
    return F.cross_entropy(logits, own), (logits.argmax(1) == own).float().mean()


def sync_recipe(config):
    half = partial(torch.add, 0.5, alpha=0.5)
    return SyncRecipe(
        TOY_SYNC, ToySync, info_nce, half, (0.0, 0.0, 1.0, 1.0), config.sync_train, SyncAugmentConfig(mask_bands=1)
    )


@dataclass
class ToyDubber:
    """Two passes: the openings of the whole video first, then frames."""

    model: ToyGenerator
    name: str = "toy"
    size: int = SIZE
    batch: int = 4
    alignment: Box = INPUT.alignment

    @property
    def made_by(self):
        return {"step": 0}

    @torch.inference_mode()
    def begin(self, material):
        found = opening(material.track.points)
        whole = INPUT.audio.whole(material.speech)
        reference = to_tensor(material.reference[None])

        @torch.inference_mode()
        def session(numbers, crops):
            heard = np.stack([INPUT.audio.window(whole, float(material.video.seconds[i])) for i in numbers])
            openings = torch.from_numpy(found[list(numbers)])
            target = to_tensor(np.stack(crops))
            return to_frames(
                self.model(target, reference.expand(len(crops), -1, -1, -1), torch.from_numpy(heard), openings)
            )

        return session
