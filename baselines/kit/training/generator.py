"""A generator in training, against an image discriminator where its recipe has one."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lipsync_eval.baselines.kit.configuration.sections import RunConfig
from lipsync_eval.baselines.kit.data.holdout import Pool
from lipsync_eval.baselines.kit.data.windows import Numbers, Sample, TrainingSet, batches
from lipsync_eval.baselines.kit.progress import Say
from lipsync_eval.baselines.kit.training import losses
from lipsync_eval.baselines.kit.training.averaging import autocast, blend, decay_at
from lipsync_eval.baselines.kit.training.checkpoints import TrainingStopped, flatten, load_optimizer
from lipsync_eval.baselines.kit.training.loop import check_finite, run_task
from lipsync_eval.baselines.kit.training.processes import Ranks, accumulating, bare
from lipsync_eval.baselines.kit.training.recipe import Recipe
from lipsync_eval.baselines.kit.training.terms import Made, total
from lipsync_eval.baselines.kit.training.validation import Validation
from lipsync_eval.errors import UsageError
from lipsync_eval.types import Frame


class GeneratorTask:
    """Generator, its running average, image discriminator, their optimisers."""

    def __init__(self, recipe: Recipe, ranks: Ranks, pool: Pool) -> None:
        train = recipe.train
        shared = ranks.world * train.accumulate
        if train.batch % shared:
            raise UsageError(
                f"train.batch {train.batch} is no multiple of {ranks.world} processes x {train.accumulate} accumulation"
            )
        torch.manual_seed(train.seed)
        self.kind, self.recipe, self.train, self.ranks = recipe.kind, recipe, train, ranks
        self.local = train.batch // shared
        generator = recipe.generator()
        self.average = copy.deepcopy(generator).eval().requires_grad_(False).to(ranks.device)
        self.generator = ranks.wrap(generator)
        self.adversary = recipe.adversary()
        self.discriminator = ranks.wrap(self.adversary.network) if self.adversary else None
        self.optimizer = torch.optim.Adam(recipe.groups(bare(self.generator)), betas=train.betas)
        self.optimizer_d = self._optimizer_d()
        self.objective = recipe.objective(ranks.device)
        self.better = self.objective.best
        self.validation = Validation(recipe, pool, self.objective, ranks.device)
        self.scaler = torch.amp.GradScaler(ranks.device.type, enabled=train.precision == "fp16")
        self.scaler_d = torch.amp.GradScaler(ranks.device.type, enabled=train.precision == "fp16")
        self.data = TrainingSet(pool, train.seed, (*recipe.readers, *self.objective.readers))
        self.seek(0)

    def _optimizer_d(self) -> torch.optim.Adam | None:
        if self.discriminator is None:
            return None
        parameters = self.discriminator.parameters()
        return torch.optim.Adam(parameters, self.train.lr_discriminator, betas=self.train.betas_discriminator)

    def seek(self, step: int) -> None:
        """Read on from the samples of this step."""
        numbers = Numbers(step * self.train.batch, self.local, self.ranks.rank, self.ranks.world)
        self.batches: Iterator[Sample] = batches(self.data, numbers, self.recipe.workers)

    def step(self, number: int) -> dict[str, float]:
        """One update of both networks from the same crops; both see each other as they were before it."""
        accumulate = self.train.accumulate
        self.optimizer.zero_grad(set_to_none=True)
        if self.optimizer_d is not None:
            self.optimizer_d.zero_grad(set_to_none=True)
        sums: dict[str, float] = {}
        for part in range(accumulate):
            more = part + 1 < accumulate
            with accumulating(self.generator, more), accumulating(self.discriminator, more):
                found = self._backward(next(self.batches), number)
            sums = {name: sums.get(name, 0.0) + value / accumulate for name, value in found.items()}
        sums = self.ranks.mean(sums)
        check_finite(sums)
        self._update("discriminator" in sums, number)
        return sums

    def _backward(self, batch: Sample, number: int) -> dict[str, float]:
        """Gradients of one part of a batch, divided by the number of parts; the losses."""
        sample = batch.to(self.ranks.device)
        terms = self.objective.active(number)
        with self._autocast():
            output = self.recipe.generate(self.generator, sample)
        made, found = Made(output, sample), {}
        discriminator = self.discriminator if any(term.judged for term in terms) else None
        if discriminator is not None:
            found = self._backward_discriminator(made, number)
            frozen = bare(discriminator).requires_grad_(False)
            with self._autocast():
                made = made._replace(logits=frozen(output))
        value, values = total(terms, made)
        torch.autograd.backward(self.scaler.scale(value / self.train.accumulate))
        if discriminator is not None:
            bare(discriminator).requires_grad_(True)
        return found | {"total": value.item(), **{name: x.item() for name, x in values.items()}}

    def _backward_discriminator(self, made: Made, number: int) -> dict[str, float]:
        """Gradients of D's own loss; with the R1 penalty in float32, scaled up as it comes every `r1_every` steps only."""
        adversary, network, share = self.adversary, self.discriminator, self.train.accumulate
        if adversary is None or network is None:
            return {}
        real = made.target
        with self._autocast():
            fake_logits, real_logits = network(made.output.detach()), network(real)
        value = losses.adversarial_discriminator(fake_logits, real_logits)
        torch.autograd.backward(self.scaler_d.scale(value / share))
        if not adversary.r1 or number % adversary.r1_every:
            return {"discriminator": value.item()}
        crops = real.detach().float().requires_grad_()
        logits = network(crops)
        penalty = losses.r1(logits, crops)
        weighted = penalty * adversary.r1 / 2 * adversary.r1_every / share
        # The last bias does not move dD/dI; without the zero term it would get no gradient, for which DDP waits.
        self.scaler_d.scale(weighted + 0 * logits.sum()).backward()
        return {"discriminator": value.item(), "r1": penalty.item()}

    def _update(self, judged: bool, number: int) -> None:
        if judged and self.optimizer_d is not None:
            self.scaler_d.step(self.optimizer_d)
            self.scaler_d.update()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        blend(self.average, bare(self.generator), decay_at(number, self.train.ema))

    def _autocast(self) -> torch.autocast:
        return autocast(self.ranks.device, self.train.precision)

    def validate(self) -> tuple[dict[str, float], Frame | None]:
        """Scores of the running average on held-out windows, and a grid."""
        return self.validation(self.average)

    def _networks(self) -> dict[str, nn.Module]:
        networks = {"generator": bare(self.generator)}
        return networks | ({"discriminator": bare(self.discriminator)} if self.discriminator is not None else {})

    def _optimizers(self) -> dict[str, torch.optim.Adam]:
        optimizers = {"adam": self.optimizer}
        return optimizers | ({"adam_d": self.optimizer_d} if self.optimizer_d is not None else {})

    def state(self) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any]]:
        """The average for use; both networks and optimisers to go on."""
        tensors = {f"{name}.{k}": v for name, net in self._networks().items() for k, v in net.state_dict().items()}
        numbers: dict[str, Any] = {"scaler": self.scaler.state_dict(), "scaler_d": self.scaler_d.state_dict()}
        for name, optimizer in self._optimizers().items():
            flat, rest = flatten(name, optimizer.state_dict())
            tensors |= flat
            numbers[name] = rest
        return dict(self.average.state_dict()), tensors, numbers

    def load(self, model: Mapping[str, Tensor], training: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """Go on from a checkpoint's tensors and numbers."""
        from lipsync_eval.weights import fit

        fit(self.average, dict(model), source="the checkpoint")
        for name, module in self._networks().items():
            part = {k[len(name) + 1 :]: v for k, v in training.items() if k.startswith(f"{name}.")}
            fit(module, part, source="the checkpoint")
        for name, optimizer in self._optimizers().items():
            load_optimizer(optimizer, name, training, numbers[name])
        for key, scaler in (("scaler", self.scaler), ("scaler_d", self.scaler_d)):
            if numbers[key]:
                scaler.load_state_dict(numbers[key])


def train_generator(
    recipe: Recipe, config: RunConfig, pool: Pool, out: Path, ranks: Ranks, *, resume: bool, say: Say
) -> None:
    """Train a generator into the folder `out`; see `run_task`."""

    def make() -> GeneratorTask:
        """The task, once the run's folder is known to be usable; says what is off."""
        task = GeneratorTask(recipe, ranks, pool)
        for line in (str(pool), *task.objective.notes):
            say(line)
        return task

    window = pool.model.window
    run_task(make, out, config, recipe.train, ranks, resume=resume, say=say, frames=window)


def overfit_check(recipe: Recipe, pool: Pool, ranks: Ranks, steps: int, say: Say) -> tuple[float, float]:
    """Train on one batch only, before a long run: a network that cannot learn one batch by heart has a fault.

    Returns:
        the first term's value at the first and the last step.

    Raises:
        TrainingStopped: it did not fall to half.
    """
    task = GeneratorTask(recipe, ranks, pool)
    name = task.objective.terms[0].name
    task.batches = cycle([next(task.batches) for _ in range(task.train.accumulate)])
    values = [task.step(number)[name] for number in range(steps)]
    first, last = values[0], values[-1]
    say(f"overfit check: {name} {first:.4f} at step 1, {last:.4f} at step {steps}, one batch of {task.train.batch}")
    if last > first / 2:
        raise TrainingStopped(
            f"one batch was not learnt: {name} {first:.4f} -> {last:.4f} in {steps} steps, expected at most half; "
            "give more steps, or look at the learning rates and the data"
        )
    return first, last
