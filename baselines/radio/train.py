"""`radio train`: the generator against its discriminator, with the losses of eq. 6."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from lipsync_eval.baselines.radio import losses
from lipsync_eval.baselines.radio.config import Config
from lipsync_eval.baselines.radio.dataset import Numbers, TrainingSet, batches
from lipsync_eval.baselines.radio.discriminators import Discriminator
from lipsync_eval.baselines.radio.expert import ContextSet, split_batch
from lipsync_eval.baselines.radio.loop import Pace, Say, check_finite, train
from lipsync_eval.baselines.radio.model import Radio
from lipsync_eval.baselines.radio.objective import Objective
from lipsync_eval.baselines.radio.ranks import Ranks, accumulating, bare
from lipsync_eval.baselines.radio.resnet_se import ResNetSE
from lipsync_eval.baselines.radio.runs import flatten, start_run, unflatten
from lipsync_eval.baselines.radio.spans import Pool, T
from lipsync_eval.baselines.radio.validate import Validation
from lipsync_eval.baselines.radio.vit import ViTBlock
from lipsync_eval.errors import UsageError
from lipsync_eval.types import Frame

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def generator_groups(model: Radio, lr: float, lr_plain: float) -> list[dict[str, Any]]:
    """Two groups: layers with equalised weights at `lr`; audio encoder and ViT blocks at `lr_plain`."""
    plain = {id(p) for m in model.modules() if isinstance(m, ResNetSE | ViTBlock) for p in m.parameters()}
    return [
        {"params": [p for p in model.parameters() if id(p) not in plain], "lr": lr},
        {"params": [p for p in model.parameters() if id(p) in plain], "lr": lr_plain},
    ]


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """average = decay * average + (1 - decay) * model, parameter by parameter."""
    for a, p in zip(average.parameters(), model.parameters(), strict=True):
        a.lerp_(p.to(a.dtype), 1 - decay)


class RadioTask:
    """Generator, its running average, discriminator, their optimisers."""

    kind = "radio"
    better = ("psnr", 1)

    def __init__(self, config: Config, ranks: Ranks, pool: Pool, first: int = 0) -> None:
        train_config = config.train
        shared = ranks.world * train_config.accumulate
        if train_config.batch % shared:
            raise UsageError(
                f"train.batch {train_config.batch} is no multiple of {ranks.world} processes x {train_config.accumulate} accumulation"
            )
        torch.manual_seed(train_config.seed)
        self.config, self.ranks, self.local = config, ranks, train_config.batch // shared
        generator = Radio(config.model)
        self.average = copy.deepcopy(generator).eval().requires_grad_(False).to(ranks.device)
        self.generator = ranks.wrap(generator)
        self.discriminator = ranks.wrap(
            Discriminator(config.model.size, config.discriminator.multiplier, config.discriminator.channel_max)
        )
        betas = train_config.betas
        self.optimizer = torch.optim.Adam(
            generator_groups(bare(self.generator), train_config.lr, train_config.lr_plain), betas=betas
        )
        self.optimizer_d = torch.optim.Adam(
            self.discriminator.parameters(), train_config.lr_discriminator, betas=train_config.betas_discriminator
        )
        self.objective = Objective(config, ranks.device)
        self.validation = Validation(config, pool, self.objective)
        fp16 = train_config.precision == "fp16"
        self.scaler = torch.amp.GradScaler(ranks.device.type, enabled=fp16)
        self.scaler_d = torch.amp.GradScaler(ranks.device.type, enabled=fp16)
        self.pool = pool
        self.seek(first)

    def seek(self, step: int) -> None:
        """Read on from the samples of this step."""
        data: Dataset[Any] = TrainingSet(self.pool, self.config.model.size, self.config.train.seed)
        if self.objective.expert is not None:
            data = ContextSet(cast(TrainingSet, data), self.config.loss.avhubert_context, self.pool.size)
        numbers = Numbers(step * self.config.train.batch, self.local, self.ranks.rank, self.ranks.world)
        self.batches: Iterator[Any] = batches(data, numbers, self.config.data.workers)

    def step(self, number: int) -> dict[str, float]:
        """One update of both networks from the same pictures; both see each other as they were before it."""
        train_config, loss = self.config.train, self.config.loss
        adversarial = loss.adversarial > 0 and number >= train_config.adversarial_from
        self.optimizer.zero_grad(set_to_none=True)
        self.optimizer_d.zero_grad(set_to_none=True)
        sums: dict[str, float] = {}
        penalised = adversarial and loss.r1 > 0 and number % loss.r1_every == 0
        for part in range(train_config.accumulate):
            more = part + 1 < train_config.accumulate
            with accumulating(self.generator, more), accumulating(self.discriminator, more):
                found = self._backward(next(self.batches), adversarial, penalised)
            sums = {name: sums.get(name, 0.0) + value / train_config.accumulate for name, value in found.items()}
        sums = self.ranks.mean(sums)
        check_finite(sums)
        self._update(adversarial, number)
        return sums

    def _backward(self, batch: Any, adversarial: bool, penalised: bool) -> dict[str, float]:
        """Gradients of one part of a batch, divided by the number of parts; the losses."""
        device, share = self.ranks.device, self.config.train.accumulate
        sample, context = split_batch(tuple(x.to(device, non_blocking=True) for x in batch))
        real, reference, mel = (x.flatten(0, 1) for x in sample)
        with self._autocast():
            output = self.generator(real, reference, mel)
        found: dict[str, float] = {}
        logits = None
        if adversarial:
            found |= self._backward_discriminator(output.detach(), real, penalised)
            frozen = bare(self.discriminator).requires_grad_(False)
            with self._autocast():
                logits = frozen(output)
        terms = self.objective.terms(output, sample, context, logits)
        total = torch.stack([term.weight * term.value for term in terms.values()]).sum()
        self.scaler.scale(total / share).backward()  # type: ignore[no-untyped-call]
        bare(self.discriminator).requires_grad_(True)
        return found | {"total": total.item(), **{name: term.value.item() for name, term in terms.items()}}

    def _backward_discriminator(self, fake: Tensor, real: Tensor, penalised: bool) -> dict[str, float]:
        """Gradients of D's own loss; with the R1 penalty in float32, scaled up as it comes every `r1_every` steps only."""
        loss, share = self.config.loss, self.config.train.accumulate
        with self._autocast():
            fake_logits, real_logits = self.discriminator(fake), self.discriminator(real)
        value = losses.adversarial_discriminator(fake_logits, real_logits)
        self.scaler_d.scale(value / share).backward()  # type: ignore[no-untyped-call]
        if not penalised:
            return {"discriminator": value.item()}
        pictures = real.detach().float().requires_grad_()
        logits = self.discriminator(pictures)
        penalty = losses.r1(logits, pictures)
        weighted = penalty * loss.r1 / 2 * loss.r1_every / share
        # The last bias does not move dD/dI; without the zero term it would get no gradient, for which DDP waits.
        self.scaler_d.scale(weighted + 0 * logits.sum()).backward()
        return {"discriminator": value.item(), "r1": penalty.item()}

    def _update(self, adversarial: bool, number: int) -> None:
        if adversarial:
            self.scaler_d.step(self.optimizer_d)
            self.scaler_d.update()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        decay = min(self.config.train.ema, (1 + number) / (10 + number))
        update_average(self.average, bare(self.generator), decay)

    def _autocast(self) -> torch.autocast:
        precision = self.config.train.precision
        return torch.autocast(self.ranks.device.type, DTYPES[precision], enabled=precision != "fp32")

    def validate(self) -> tuple[dict[str, float], Frame | None]:
        """Scores of the running average on held-out windows, and a grid."""
        return self.validation(self.average)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any]]:
        """The average for use; both networks and optimisers to go on."""
        tensors = {f"generator.{k}": v for k, v in bare(self.generator).state_dict().items()}
        tensors |= {f"discriminator.{k}": v for k, v in bare(self.discriminator).state_dict().items()}
        numbers: dict[str, Any] = {"scaler": self.scaler.state_dict(), "scaler_d": self.scaler_d.state_dict()}
        for name, optimizer in (("adam", self.optimizer), ("adam_d", self.optimizer_d)):
            flat, rest = flatten(name, optimizer.state_dict())
            tensors |= flat
            numbers[name] = rest
        return dict(self.average.state_dict()), tensors, numbers

    def load(self, model: Mapping[str, Tensor], training: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """Go on from a checkpoint's tensors and numbers."""
        from lipsync_eval.weights import fit

        fit(self.average, dict(model), source="the checkpoint")
        for name, module in (("generator", self.generator), ("discriminator", self.discriminator)):
            part = {k[len(name) + 1 :]: v for k, v in training.items() if k.startswith(f"{name}.")}
            fit(bare(module), part, source="the checkpoint")
        for name, optimizer in (("adam", self.optimizer), ("adam_d", self.optimizer_d)):
            rates = [group["lr"] for group in optimizer.param_groups]
            optimizer.load_state_dict(unflatten(name, training, numbers[name]))
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate  # the configuration's, which may be lower than the run's
        for key, scaler in (("scaler", self.scaler), ("scaler_d", self.scaler_d)):
            if numbers[key]:
                scaler.load_state_dict(numbers[key])


def run_training(config: Config, out: Path, ranks: Ranks, *, resume: bool, say: Say) -> None:
    """Train a generator into the folder `out`.

    Raises:
        UsageError: no usable data, configuration or folder.
        TrainingStopped: a loss became NaN; the last good checkpoint is kept.
    """
    pool = Pool(config)
    if ranks.first:
        start_run(out, config, resume=resume)
    ranks.barrier()
    task = RadioTask(config, ranks, pool)
    for line in (str(pool), *task.objective.notes):
        say(line)
    if resume:
        from lipsync_eval.baselines.radio.runs import open_checkpoint

        task.seek(open_checkpoint(out, "radio").step)
    train(task, out, config, pace_of(config), ranks, resume=resume, say=say)


def pace_of(config: Config) -> Pace:
    """How long and how often, from `config.train`."""
    t = config.train
    return Pace(t.steps, t.batch * T, t.log_every, t.validate_every, t.save_every, t.keep)


def overfit_check(config: Config, ranks: Ranks, steps: int, say: Say) -> tuple[float, float]:
    """Train on one batch only, before a long run: a network that cannot learn one batch by heart has a fault.

    Returns:
        L1 of the first and the last step.

    Raises:
        TrainingStopped: the L1 loss did not fall to half.
    """
    from lipsync_eval.baselines.radio.runs import TrainingStopped

    task = RadioTask(config, ranks, Pool(config))
    one = [next(task.batches) for _ in range(config.train.accumulate)]
    task.batches = _forever(one)
    values = [task.step(number)["l1"] for number in range(steps)]
    say(
        f"overfit check: L1 {values[0]:.4f} at step 1, {values[-1]:.4f} at step {steps}, one batch of {config.train.batch}"
    )
    if values[-1] > values[0] / 2:
        raise TrainingStopped(
            f"one batch was not learnt: L1 {values[0]:.4f} -> {values[-1]:.4f} in {steps} steps, expected at most half; "
            "give more steps, or look at the learning rates and the data"
        )
    return values[0], values[-1]


def _forever(items: Iterable[Any]) -> Iterator[Any]:
    held = list(items)
    while True:
        yield from held
