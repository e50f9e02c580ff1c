"""One process or many: DistributedDataParallel under torchrun, with the same calls for one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from lipsync_eval.device import pick
from lipsync_eval.errors import UsageError


@dataclass(frozen=True)
class Ranks:
    """Who this process is."""

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module on the device, with gradients averaged over all processes."""
        module = module.to(self.device)
        if self.world == 1:
            return module
        ids = [self.device.index] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(module, device_ids=ids, broadcast_buffers=False)

    def mean(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """Means over all processes."""
        if self.world == 1:
            return dict(numbers)
        values = torch.tensor(list(numbers.values()), dtype=torch.float64)
        values = values.to(self.device if self.device.type == "cuda" else "cpu")
        torch.distributed.all_reduce(values)
        return dict(zip(numbers, (values / self.world).tolist(), strict=True))

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.world > 1:
            torch.distributed.barrier()


def accumulating(module: nn.Module | None, more: bool) -> AbstractContextManager[Any]:
    """Hold gradients back from averaging while more backward passes of the same step follow."""
    if more and isinstance(module, nn.parallel.DistributedDataParallel):
        held: AbstractContextManager[Any] = module.no_sync()
        return held
    return nullcontext()


def synchronised(module: nn.Module) -> nn.Module:
    """Batch norm over the batches of all processes, where there are several on GPUs (torch has it for these only)."""
    if torch.distributed.is_initialized() and torch.distributed.get_backend() == "nccl":
        shared: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        return shared
    return module


def bare(module: nn.Module) -> Any:
    """The module inside DistributedDataParallel, or the module itself."""
    return module.module if isinstance(module, nn.parallel.DistributedDataParallel) else module


@contextmanager
def ranks(device: str) -> Iterator[Ranks]:
    """This process among those that torchrun started (RANK, WORLD_SIZE, LOCAL_RANK), or alone.

    Args:
        device: as --device; with several processes and CUDA, every process takes the GPU of its LOCAL_RANK.

    Raises:
        UsageError: more processes than GPUs on this machine, or an unusable device.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    chosen = pick(device)
    if world == 1:
        yield Ranks(0, 1, chosen)
        return
    rank, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    if chosen.type == "cuda":
        if local >= torch.cuda.device_count():
            raise UsageError(
                f"{world} processes were started and there are {torch.cuda.device_count()} GPUs; lower --nproc-per-node"
            )
        chosen = torch.device("cuda", local)
        torch.cuda.set_device(chosen)
    torch.distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo", rank=rank, world_size=world)
    try:
        yield Ranks(rank, world, chosen)
    finally:
        torch.distributed.destroy_process_group()
