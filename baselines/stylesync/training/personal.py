"""`stylesync personalise`: dW and dP for one person, from a few seconds of video (StyleSync section 3.3, eq. 6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from lipsync_eval.baselines.kit.configuration.resolve import load
from lipsync_eval.baselines.kit.data.holdout import Pool
from lipsync_eval.baselines.kit.data.shards import load_manifest
from lipsync_eval.baselines.kit.data.windows import Reader, Sample
from lipsync_eval.baselines.kit.network.discriminator import Discriminator
from lipsync_eval.baselines.kit.progress import Say
from lipsync_eval.baselines.kit.training.checkpoints import MODEL, TRAINING, Checkpoint, open_checkpoint
from lipsync_eval.baselines.kit.training.generator import GeneratorTask
from lipsync_eval.baselines.kit.training.loop import run_task
from lipsync_eval.baselines.kit.training.processes import Ranks, bare
from lipsync_eval.baselines.kit.training.recipe import Adversary
from lipsync_eval.baselines.kit.training.terms import Objective, Term
from lipsync_eval.baselines.stylesync.config import GENERATOR, PERSONAL, PersonalConfig, StyleSyncConfig
from lipsync_eval.baselines.stylesync.data.inputs import model_input, open_pool
from lipsync_eval.baselines.stylesync.data.person import PersonalSet, open_person, prepare_person, steps
from lipsync_eval.baselines.stylesync.network.generator import StyleSync
from lipsync_eval.baselines.stylesync.network.personal import Personal
from lipsync_eval.baselines.stylesync.presets import PERSONAL as PRESETS
from lipsync_eval.baselines.stylesync.training.delta import TENSORS, write_delta
from lipsync_eval.baselines.stylesync.training.generator import shown
from lipsync_eval.baselines.stylesync.training.terms import objective
from lipsync_eval.errors import RefusedCheckpoint, UsageError
from lipsync_eval.types import FPS

PERSON = "person"
"""Folder of the person's crops in the run."""
OWN = frozenset({"personal", "data", "loss", "name"})
"""Sections that a personalisation may set; the others are the base's."""


def open_base(path: Path) -> Checkpoint[StyleSyncConfig]:
    """The checkpoint of G that is personalised.

    Raises:
        RefusedCheckpoint: no checkpoint of `stylesync train`, or one of Wav2Lip-H, which has no style space.
    """
    held = open_checkpoint(path, GENERATOR)
    if held.config.model.network != "stylesync":
        raise RefusedCheckpoint(
            f"{held.folder} holds {held.config.model.network}, which has no style space; personalise a StyleSync checkpoint"
        )
    return held


class PersonalRecipe:
    """How P is trained: L_g of the base run and the penalty of eq. 6."""

    kind = PERSONAL
    readers: tuple[Reader, ...] = ()

    def __init__(self, config: StyleSyncConfig, held: Checkpoint[StyleSyncConfig], device: torch.device) -> None:
        self.config, self.held = config, held
        self.train: PersonalConfig = config.personal
        self.workers = config.data.workers
        self.base = held.restored(StyleSync(held.config.model), device)
        self.made: Personal | None = None

    def generator(self) -> nn.Module:
        """dW = 0 and dP = 0 on the frozen base."""
        self.made = Personal(self.base, self.train)
        return self.made

    def adversary(self) -> Adversary | None:
        """The base run's discriminator, which goes on.

        Raises:
            RefusedCheckpoint: the base's checkpoint does not hold it.
        """
        from lipsync_eval.weights import fit

        loss, d = self.config.loss, self.config.discriminator
        if not loss.adversarial:
            return None
        found = {name: x for name, x in self.held.tensors(TRAINING).items() if name.startswith("discriminator.")}
        if not found:
            raise RefusedCheckpoint(
                f"{self.held.folder} was trained without a discriminator; add --set loss.adversarial=0"
            )
        net = Discriminator(self.config.model.size, d.multiplier, d.channel_max)
        fit(net, {name.partition(".")[2]: x for name, x in found.items()}, source=str(self.held.folder))
        return Adversary(net, loss.r1, loss.r1_every)

    def objective(self, device: torch.device) -> Objective:
        """Eq. 6."""
        general, personal = objective(self.config, device, True, self.train.accumulate), self.made
        if personal is None:
            raise UsageError("the objective of a personalisation needs its generator first")
        penalty = Term("penalty", self.train.penalty, lambda made: personal.penalty())
        return replace(general, terms=(*general.terms, penalty))

    def groups(self, generator: nn.Module) -> list[dict[str, Any]]:
        """dW's MLP and dP at one rate."""
        return [{"params": list(generator.parameters()), "lr": self.train.lr}]

    def generate(self, generator: nn.Module, sample: Sample) -> Tensor:
        """All frames of all windows at once."""
        made: Tensor = generator(*(x.flatten(0, 1) for x in (sample.target, sample.reference, sample.audio)))
        return made

    def shown(self, target: Tensor) -> Tensor:
        """The target without what the base's mask hides."""
        return shown(target, self.base.mask, self.config)


class PersonalTask(GeneratorTask):
    """P in training: half of every batch is of the person, half general data."""

    def __init__(self, recipe: PersonalRecipe, ranks: Ranks, person: Pool, general: Pool | None) -> None:
        super().__init__(recipe, ranks, person)
        self.data = PersonalSet(person, general, recipe.train.seed)  # type: ignore[assignment]
        self.seek(0)

    def step(self, number: int) -> dict[str, float]:
        """As a generator's; the norms of dW and dP too."""
        found = super().step(number)
        personal: Personal = bare(self.generator)
        return found | personal.norms()


def resolve(base: Path, preset: str, overrides: Iterable[str] = (), *, alone: bool = False) -> StyleSyncConfig:
    """The base's configuration with what a personalisation sets.

    Args:
        base: RUN or RUN/checkpoints/STEP of `stylesync train`.
        preset: of `presets.PERSONAL`.
        overrides: 'personal.epochs=3'; only of the sections personal, data and loss.
        alone: whether there is no general data; the base's own folder then is not used either.

    Raises:
        UsageError: an unknown key or value, or another section.
        RefusedCheckpoint: `base` is no checkpoint of a StyleSync G.
    """
    held = open_base(base).config
    start = held.model_dump()
    start["data"]["folder"] = None
    start["personal"] |= {"steps": 0, **PRESETS[preset].get("personal", {})}
    found = load(StyleSyncConfig, {preset: start}, overrides=overrides)
    for section in type(held).model_fields:
        if section not in OWN and getattr(held, section) != getattr(found, section):
            raise UsageError(
                f"--set {section}. ...: that section is the base run's; a personalisation sets personal, data and loss"
            )
    if alone and found.data.folder is not None:
        raise UsageError("--alone uses no general data; leave out --general, or --alone")
    return found


def personalise(
    base: Path,
    video: Path,
    audio: Path | None,
    out: Path,
    config: StyleSyncConfig,
    ranks: Ranks,
    *,
    alone: bool,
    resume: bool,
    say: Say,
) -> None:
    """Personalise a base run for the person of one video; writes personal.safetensors and personal.json into `out`.

    Args:
        base: RUN or RUN/checkpoints/STEP of `stylesync train`.
        video: the person's video, seconds to a minute.
        audio: its own speech where the video has none.
        out: folder of the new run.
        config: of `resolve`.
        ranks: this process among others.
        alone: train on the person's frames only.
        resume: go on from the newest checkpoint in `out`.
        say: progress.

    Raises:
        UsageError: neither general data nor `alone`, or too little video.
    """
    held = open_base(base)
    if config.data.folder is None and not alone:
        raise UsageError(
            "personalisation mixes the person's frames 1:1 with general data: give --general DATA (made by `stylesync prepare`), "
            "or --alone to train on the person's frames only, which the paper found less stable"
        )
    if alone:
        say(
            "only the person's frames are trained on (--alone): the paper mixes them 1:1 with general data, for stability"
        )
    if ranks.world > 1:
        raise UsageError(f"{ranks.world} processes were started; a personalisation is short and runs in one")
    with _crops(video, audio, out, config, resume, say) as folder:
        _train(held, folder, video, out, config, ranks, alone=alone, resume=resume, say=say)


@contextmanager
def _crops(
    video: Path, audio: Path | None, out: Path, config: StyleSyncConfig, resume: bool, say: Say
) -> Iterator[Path]:
    """Folder of the person's crops: the run's own, or a new one beside it, as the folder of a new run must not be there."""
    if resume:
        yield out / PERSON
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent, prefix=".person-") as folder:
        prepare_person(video, audio, Path(folder) / PERSON, config, say)
        yield Path(folder) / PERSON


def _train(
    held: Checkpoint[StyleSyncConfig],
    folder: Path,
    video: Path,
    out: Path,
    config: StyleSyncConfig,
    ranks: Ranks,
    *,
    alone: bool,
    resume: bool,
    say: Say,
) -> None:
    """Train on the crops in `folder`, which moves into the run."""
    from lipsync_eval.files import sha256

    digest = sha256(video)
    if (known := load_manifest(folder).sources) != {video.name: digest}:
        raise UsageError(
            f"{out} is a personalisation for {', '.join(known)}, not for this {video.name}; start a new run"
        )
    person = open_person(folder, model_input(config), config.personal.holdout)
    general = None if alone else open_pool(config)
    asked = config.personal.steps == 0
    count = config.personal.steps or steps(person, config.personal.epochs, config.personal.batch, not alone)
    config = config.model_copy(update={"personal": config.personal.model_copy(update={"steps": count})})
    frames = sum(s.stop - s.start for s in person.train)
    how = f"{config.personal.epochs} epochs" if asked else "personal.steps"
    say(f"{frames} frames of the person, {how}: {count} steps of {config.personal.batch} windows")
    if config.personal.holdout == "none":
        say("validation is on training frames; personal.holdout=tail:0.2 holds out the end of the video")
    made: list[PersonalTask] = []

    def make() -> PersonalTask:
        """The task; the crops move into the run's folder, which is usable now."""
        if folder != out / PERSON:
            folder.replace(out / PERSON)
            person.folder = out / PERSON
        task = PersonalTask(PersonalRecipe(config, held, ranks.device), ranks, person, general)
        for line in task.objective.notes:
            say(line)
        made.append(task)
        return task

    run_task(make, out, config, config.personal, ranks, resume=resume, say=say, frames=person.model.window)
    tensors, _, _ = made[0].state()
    facts = {
        "base_sha256": held.hashes[MODEL],
        "base_step": held.step,
        "video": video.name,
        "video_sha256": digest,
        "seconds": round(frames / FPS, 3),
        "alone": alone,
        "steps": count,
        "norms": bare(made[0].generator).norms(),
    }
    write_delta(out, tensors, config, facts)
    say(f"{out / TENSORS}: {frames / FPS:.1f} s of {video.name} used")
