"""`--dry-run` of every training: the resolved configuration and the shapes. Needs no data, weights or folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from lipsync_eval.baselines.kit.configuration.resolve import toml
from lipsync_eval.baselines.kit.configuration.sections import C


def dry_run(config: C, shapes: Callable[[C], str]) -> str:
    """The configuration as TOML, then what `shapes` says of its networks."""
    return f"{toml(config)}\n{shapes(config)}"


def shape(x: Tensor) -> str:
    """'3x192x192' without the batch."""
    return "x".join(str(n) for n in x.shape[1:])


def counted(networks: Mapping[str, nn.Module | None]) -> list[str]:
    """A line with the number of parameters for every network that there is."""
    return [f"{name:20} {parameters(net):>12,} parameters" for name, net in networks.items() if net is not None]


def parameters(module: nn.Module) -> int:
    """Trainable numbers of a module."""
    return sum(p.numel() for p in module.parameters())
