"""The file of a personalisation: dW and dP alone, with the hash of the G that they belong to.

RUN/personal.safetensors    dw.* (the MLP's parameters), dp.* (offsets by the generator's parameter names)
RUN/personal.json           facts: base, video, seconds used, norms
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from lipsync_eval.baselines.kit.configuration.resolve import parse
from lipsync_eval.baselines.kit.training.checkpoints import MODEL, Checkpoint
from lipsync_eval.baselines.stylesync.config import StyleSyncConfig
from lipsync_eval.baselines.stylesync.network.generator import StyleSync
from lipsync_eval.baselines.stylesync.network.personal import SEPARATOR, Personal
from lipsync_eval.errors import RefusedCheckpoint
from lipsync_eval.files import parse_json, sha256, write_text

TENSORS, FACTS = "personal.safetensors", "personal.json"
SCHEMA = 1


@dataclass(frozen=True)
class Delta:
    """A personalisation on disk."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]
    config: StyleSyncConfig


def write_delta(run: Path, tensors: dict[str, Tensor], config: StyleSyncConfig, facts: dict[str, Any]) -> None:
    """Write both files; the JSON last, so that it stands beside whole tensors only.

    Args:
        run: folder of the personalisation.
        tensors: state of a `Personal`.
        config: of the personalisation.
        facts: base_sha256 and whatever should be known.
    """
    from safetensors.torch import save

    from lipsync_eval.files import atomic

    named = {name.replace(SEPARATOR, "."): x.detach().cpu().contiguous() for name, x in tensors.items()}
    with atomic(run / TENSORS) as file:
        file.write(save(named))
    held = {"schema": SCHEMA, **facts, "sha256": sha256(run / TENSORS), "config": config.model_dump(mode="json")}
    write_text(run / FACTS, json.dumps(held, indent=1) + "\n")


def read_delta(run: Path, base: Checkpoint[StyleSyncConfig]) -> Delta:
    """Read a personalisation of `base`.

    Raises:
        RefusedCheckpoint: no such files, damaged, or made from another base.
    """
    from lipsync_eval.weights import load_tensors

    path = run / FACTS
    if not path.is_file() or not (run / TENSORS).is_file():
        raise RefusedCheckpoint(
            f"{run} holds no {FACTS} with {TENSORS}; give a finished run of `stylesync personalise`"
        )
    try:
        facts = dict(parse_json(path.read_text(encoding="utf-8")))
        if facts["schema"] != SCHEMA:
            raise RefusedCheckpoint(f"{path} has schema {facts['schema']}, this version reads {SCHEMA}")
        wanted, digest = str(facts["base_sha256"]), str(facts["sha256"])
        config = parse(StyleSyncConfig, facts["config"], str(path))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RefusedCheckpoint(f"{path} is malformed ({error!r}); personalise again") from error
    if wanted != base.hashes[MODEL]:
        raise RefusedCheckpoint(
            f"{run} was made from another checkpoint (sha256 {wanted[:12]}...) than {base.folder} "
            f"({base.hashes[MODEL][:12]}...); give the one it was personalised from, or personalise again"
        )
    if sha256(run / TENSORS) != digest:
        raise RefusedCheckpoint(f"{run / TENSORS} is damaged: its sha256 is not the one in {FACTS}; personalise again")
    return Delta(load_tensors(run / TENSORS), facts, config)


def personal_model(base: StyleSync, delta: Delta) -> Personal:
    """P: the base with dW and dP.

    Raises:
        RefusedCheckpoint: tensors that do not fit.
    """
    from lipsync_eval.weights import fit

    model = Personal(base, delta.config.personal)
    named = {name.replace(SEPARATOR, "."): name for name in model.state_dict()}
    fit(model, {named.get(name, name): x for name, x in delta.tensors.items()}, source=TENSORS)
    return model
