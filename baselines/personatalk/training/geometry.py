"""`personatalk train-geometry`: stage 1."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, default_collate

from lipsync_eval.baselines.kit.data.holdout import Pool, Span, even_windows
from lipsync_eval.baselines.kit.data.windows import Numbers, WindowDraw, Windows, batches
from lipsync_eval.baselines.kit.progress import Say
from lipsync_eval.baselines.kit.training.averaging import autocast, blend, decay_at
from lipsync_eval.baselines.kit.training.checkpoints import flatten, load_optimizer
from lipsync_eval.baselines.kit.training.loop import check_finite, run_task
from lipsync_eval.baselines.kit.training.processes import Ranks, bare
from lipsync_eval.baselines.personatalk.config import GEOMETRY, GeometryLossConfig, PersonaTalkConfig
from lipsync_eval.baselines.personatalk.data.inputs import mel_rows, open_pool, template_of, vertices_of
from lipsync_eval.baselines.personatalk.data.sound import SAMPLES
from lipsync_eval.baselines.personatalk.geometry.provider import open_provider
from lipsync_eval.baselines.personatalk.geometry.topology import Topology
from lipsync_eval.baselines.personatalk.network import hubert
from lipsync_eval.baselines.personatalk.network.stage1 import GeometryNetwork, HubertEncoder
from lipsync_eval.errors import UsageError
from lipsync_eval.types import Float, Frame

CALM = 10
"""The tenth of the frames whose mouth is least open counts as nearly closed."""


class Sequence(NamedTuple):
    """One stretch (or a batch of them, with B in front)."""

    sound: Tensor
    """As `GeometryNetwork.forward` takes it."""
    expression: Tensor
    """(R, L, 3) the mean face with the person's expression in another stretch: what the style is read from."""
    template: Tensor
    """(L, 3)."""
    target: Tensor
    """(T, |low|, 3) displacements of the lower face from the template."""

    def to(self, device: torch.device) -> Sequence:
        """The same on a device."""
        return Sequence(*(x.to(device, non_blocking=True) for x in self))


class Sequences(Dataset[Sequence]):
    """Sample k of stage 1's training; other than (seed, k) nothing decides it."""

    def __init__(self, pool: Pool, config: PersonaTalkConfig, topology: Topology) -> None:
        self.drawn = WindowDraw(pool, config.geometry_train.seed)
        self.config, self.mean, self.low = config, topology.mean, topology.low

    def __getitem__(self, k: int) -> Sequence:
        """A window, its style from elsewhere in the span."""
        span, start, rng = self.drawn.draw(k)
        return self.read(self.drawn.windows, span, start, rng)

    def read(self, windows: Windows, span: Span, start: int, rng: np.random.Generator | None) -> Sequence:
        """The window that begins at `start`; without `rng` the style is that of the stretch furthest away."""
        stop = start + span.window
        template = template_of(windows, span)
        first, last = self._elsewhere(span, start, rng)
        style = self.mean + vertices_of(windows, span, first, last) - template
        target = (vertices_of(windows, span, start, stop) - template)[:, self.low]
        if self.config.stage1.audio == "hubert":
            samples = windows.array(span, "audio", start * SAMPLES, stop * SAMPLES)
            sound = (samples / 32768).astype(np.float32)
        else:
            sound = np.ascontiguousarray(mel_rows(windows, span, start, stop))
        numbers = (sound, style, template, target)
        return Sequence(*(torch.from_numpy(np.ascontiguousarray(x, np.float32)) for x in numbers))

    def _elsewhere(self, span: Span, start: int, rng: np.random.Generator | None) -> tuple[int, int]:
        """A stretch of `reference` frames that does not touch the window where there is one, else the furthest."""
        count = min(self.config.geometry_train.reference, span.stop - span.start)
        firsts = np.arange(span.start, span.stop - count + 1)
        apart = firsts[(firsts + count <= start) | (firsts >= start + span.window)]
        if not len(apart):
            apart = firsts[np.abs(firsts - start) == np.abs(firsts - start).max()]
        first = int(rng.choice(apart)) if rng is not None else int(apart[np.argmax(np.abs(apart - start))])
        return first, first + count


class GeometryLoss:
    """L_vtx + velocity + closing. Vertices in units of the distance of the eyes; every part is a mean."""

    def __init__(self, config: GeometryLossConfig, topology: Topology) -> None:
        self.config = config
        weights = np.ones(len(topology.low))
        weights[np.isin(topology.low, topology.lips)] = config.lips
        self.weights = torch.tensor(weights, dtype=torch.float32)
        place = {int(v): n for n, v in enumerate(topology.low)}
        self.pairs = torch.tensor([[place[int(a)], place[int(b)]] for a, b in topology.opening_pairs])

    def openings(self, displacement: Tensor, rest: Tensor) -> Tensor:
        """(B, T, |low|, 3) and (B, |low|, 3) -> (B, T) mean distance of the inner lips."""
        lips = (displacement + rest[:, None])[:, :, self.pairs]
        apart: Tensor = (lips[..., 0, :] - lips[..., 1, :]).norm(dim=-1).mean(-1)
        return apart

    def __call__(self, found: Tensor, target: Tensor, rest: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """(B, T, |low|, 3) predicted and real displacements, (B, |low|, 3) template -> total and parts."""
        weights = self.weights.to(found.device)
        error = (found - target).square().sum(-1)
        moved = (found.diff(dim=1) - target.diff(dim=1)).square().sum(-1)
        with torch.no_grad():
            real = self.openings(target, rest)
            count = max(1, real.shape[1] // CALM)
            closed = torch.zeros_like(real).scatter(1, real.topk(count, largest=False).indices, 1.0)
        parts = {
            "vertices": (error * weights).mean(),
            "velocity": moved.mean(),
            "close": ((self.openings(found, rest) - real).square() * closed).sum() / closed.sum(),
        }
        value = parts["vertices"] + self.config.velocity * parts["velocity"] + self.config.close * parts["close"]
        return value, parts


class GeometryTask:
    """Stage 1 in training (kit.training.loop.Task)."""

    kind = GEOMETRY
    better = ("vertex_error", -1)

    def __init__(self, config: PersonaTalkConfig, ranks: Ranks, pool: Pool) -> None:
        pace = config.geometry_train
        if pace.batch % ranks.world:
            raise UsageError(f"geometry_train.batch {pace.batch} is no multiple of {ranks.world} processes")
        torch.manual_seed(pace.seed)
        self.config, self.ranks, self.pool, self.local = config, ranks, pool, pace.batch // ranks.world
        self.topology = open_provider(config.geometry, topology_only=True).topology
        network = GeometryNetwork(config.stage1, self.topology)
        if isinstance(network.audio, HubertEncoder) and config.stage1.hubert_weights is not None:
            hubert.load(config.stage1.hubert_weights, network.audio.hubert)
        network.deviation.fill_(spread(pool, self.topology))
        self.average = copy.deepcopy(network).eval().requires_grad_(False).to(ranks.device)
        self.network = ranks.wrap(_Whole(network))
        self.optimizer = torch.optim.Adam(groups(network, pace.lr, pace.lr_hubert))
        self.loss = GeometryLoss(config.geometry_loss, self.topology)
        self.scaler = torch.amp.GradScaler(ranks.device.type, enabled=pace.precision == "fp16")
        self.data = Sequences(pool, config, self.topology)
        self.chosen = even_windows(pool.held_out, pace.validation_windows)
        self.low = torch.from_numpy(self.topology.low).to(ranks.device)
        self.seek(0)

    def seek(self, step: int) -> None:
        """Read on from the samples of this step."""
        pace = self.config.geometry_train
        numbers = Numbers(step * pace.batch, self.local, self.ranks.rank, self.ranks.world)
        self.batches: Iterator[Sequence] = batches(self.data, numbers, self.config.data.workers)

    def step(self, number: int) -> dict[str, float]:
        """One update."""
        batch = Sequence(*next(self.batches)).to(self.ranks.device)
        self.optimizer.zero_grad(set_to_none=True)
        with autocast(self.ranks.device, self.config.geometry_train.precision):
            found = self.network(batch)
        value, parts = self.loss(found.float(), batch.target, batch.template[:, self.low])
        numbers = self.ranks.mean({"total": value.item(), **{k: v.item() for k, v in parts.items()}})
        check_finite(numbers)
        torch.autograd.backward(self.scaler.scale(value))
        self.scaler.step(self.optimizer)
        self.scaler.update()
        blend(self.average, bare(self.network).network, decay_at(number, self.config.geometry_train.ema))
        return numbers

    @torch.no_grad()
    def validate(self) -> tuple[dict[str, float], Frame | None]:
        """On held-out windows: vertex_error (mean distance), lip_error, rest_error (of a mouth that never moves), opening
        (correlation of mouth openings), all in units of the distance of the eyes; and the openings as a plot."""
        windows = Windows(self.pool)
        rows, curves = [], []
        lips = np.isin(self.topology.low, self.topology.lips)
        for span, first in self.chosen:
            sample: Sequence = Sequence(*default_collate([self.data.read(windows, span, first, None)]))
            batch = sample.to(self.ranks.device)
            style = self.average.style_of(batch.expression)
            found = self.average(batch.sound, style, batch.template, batch.target.shape[1])
            rest = batch.template[:, self.low]
            distance = (found - batch.target).norm(dim=-1)[0].cpu().numpy()
            still = batch.target.norm(dim=-1)[0].mean().item()
            made, real = (self.loss.openings(x, rest)[0].cpu().numpy() for x in (found, batch.target))
            spreads = made.std() * real.std()
            agree = float(((made - made.mean()) * (real - real.mean())).mean() / spreads) if spreads > 1e-9 else 0.0
            rows.append((distance.mean(), distance[:, lips].mean(), still, agree))
            curves.append((made, real))
        names = ("vertex_error", "lip_error", "rest_error", "opening")
        return dict(zip(names, np.mean(rows, axis=0).tolist(), strict=True)), plot(curves[:8])

    def state(self) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any]]:
        """The average for use; network and optimiser to go on."""
        held = bare(self.network).network.state_dict()
        tensors = {f"network.{k}": v for k, v in held.items()}
        flat, rest = flatten("adam", self.optimizer.state_dict())
        return dict(self.average.state_dict()), tensors | flat, {"adam": rest, "scaler": self.scaler.state_dict()}

    def load(self, model: Mapping[str, Tensor], training: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """The inverse of `state`; learning rates are the configuration's."""
        from lipsync_eval.weights import fit

        fit(self.average, dict(model), source="the checkpoint")
        part = {k.removeprefix("network."): v for k, v in training.items() if k.startswith("network.")}
        fit(bare(self.network).network, part, source="the checkpoint")
        load_optimizer(self.optimizer, "adam", training, numbers["adam"])
        if numbers["scaler"]:
            self.scaler.load_state_dict(numbers["scaler"])


class _Whole(nn.Module):
    """Style and network in one call, as several processes need it."""

    def __init__(self, network: GeometryNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Sequence) -> Tensor:
        """(B, T, |low|, 3) displacements."""
        style = self.network.style_of(batch.expression)
        return cast(Tensor, self.network(batch.sound, style, batch.template, batch.target.shape[1]))


def groups(network: GeometryNetwork, lr: float, lr_hubert: float) -> list[dict[str, Any]]:
    """HuBERT's transformer at its own rate, all else at `lr`; frozen layers are left out."""
    audio = network.audio
    slow = {id(p) for p in audio.hubert.parameters()} if isinstance(audio, HubertEncoder) else set()
    free = [p for p in network.parameters() if p.requires_grad]
    found = [{"params": [p for p in free if id(p) not in slow], "lr": lr}]
    return found + ([{"params": [p for p in free if id(p) in slow], "lr": lr_hubert}] if slow else [])


def spread(pool: Pool, topology: Topology) -> float:
    """Root mean square of all displacements from the mean face in the training spans; every span counts the same."""
    windows = Windows(pool)
    squares = []
    for span in pool.train[:500]:
        moved: Float = vertices_of(windows, span, span.start, span.stop) - template_of(windows, span)
        squares.append(float((moved**2).mean()))
    return max(float(np.sqrt(np.mean(squares))), 1e-6)


def plot(curves: list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]) -> Frame:
    """Mouth opening over time, a row a window: real white, predicted green."""
    import cv2

    rows = []
    for made, real in curves:
        row: Frame = np.full((96, 512, 3), 24, np.uint8)
        top = max(float(real.max()), float(made.max()), 1e-6)
        for values, colour in ((real, (255, 255, 255)), (made, (0, 220, 0))):
            x = np.linspace(4, 507, len(values))
            line = np.stack([x, 90 - 84 * values / top], axis=1)
            cv2.polylines(row, [np.rint(line).astype(np.int32)], False, colour, 1, cv2.LINE_AA)
        rows.append(row)
    return np.concatenate(rows)


def run_training(config: PersonaTalkConfig, out: Path, ranks: Ranks, *, resume: bool, say: Say) -> None:
    """Train stage 1 into the folder `out`; see `kit.training.loop.run_task`."""
    pace = config.geometry_train
    pool = open_pool(config, pace.window)

    def make() -> GeometryTask:
        """The task, once the run's folder is known to be usable; says what is off."""
        say(str(pool))
        if config.stage1.audio == "hubert" and config.stage1.hubert_weights is None:
            say("HuBERT starts untrained; give stage1.hubert_weights=FILE, or use --set stage1.audio=mel")
        if short := sum(s.stop - s.start < pace.window + pace.reference for s in pool.train):
            say(
                f"{short} of {len(pool.train)} stretches are shorter than window and reference ({pace.window} + "
                f"{pace.reference} frames): there the style is read from frames that are to be predicted too"
            )
        return GeometryTask(config, ranks, pool)

    run_task(make, out, config, pace, ranks, resume=resume, say=say, frames=pace.window)
