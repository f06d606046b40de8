"""Several processes or machines: started by torchrun, they share gradients and otherwise run alike.

We average gradients with torch.distributed's own collectives instead of wrapping networks in
DistributedDataParallel: a CycleGAN step runs each generator twice before one backward pass and holds the
discriminators fixed meanwhile, which the wrapper forbids or punishes, and one flat all-reduce per phase is all
that a method needs to be distributed. Start with `torchrun --nproc-per-node N -m cyclegan train ...`.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")
PATIENCE = timedelta(hours=2)  # the others wait while the leading process decodes a dataset


@dataclass(frozen=True)
class World:
    """This process's place: rank in [0, size), and its rank on this machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0


def join_world(device_type: str) -> World:
    """Join the group that torchrun's environment describes; alone without it."""
    if "WORLD_SIZE" not in os.environ:
        return World()
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    if device_type == "cuda":
        torch.cuda.set_device(local_rank)
    if not dist.is_initialized():
        dist.init_process_group("cpu:gloo,cuda:nccl" if device_type == "cuda" else "gloo", timeout=PATIENCE)
    return World(dist.get_rank(), dist.get_world_size(), local_rank)


def leave_world() -> None:
    """Leave the group, if there is one."""
    if dist.is_initialized():
        dist.destroy_process_group()


@torch.no_grad()
def average_gradients(parameters: Iterable[Tensor], world: World) -> None:
    """Replace each gradient by its mean over all processes, in one message."""
    if world.size == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= world.size
    for gradient, mean in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


@torch.no_grad()
def mean_over_world(values: Tensor, world: World) -> Tensor:
    """Mean of a small tensor over all processes."""
    if world.size > 1:
        values = values.clone()
        dist.all_reduce(values)
        values /= world.size
    return values


def any_in_world(flag: bool, world: World, device: torch.device) -> bool:
    """Whether the flag is set in any process, so that all of them act alike."""
    if world.size == 1:
        return flag
    tensor = torch.tensor([float(flag)], device=device)
    dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
    return bool(tensor.item())


def gather_to_lead(value: object, world: World) -> list[object]:
    """Every process's value in the order of ranks, in the leading process; empty elsewhere."""
    if world.size == 1:
        return [value]
    values: list[object] | None = [None] * world.size if world.leads else None
    dist.gather_object(value, values)
    return values or []


def from_lead(value: T, world: World) -> T:
    """The leading process's value, in every process."""
    if world.size == 1:
        return value
    values = [value]
    dist.broadcast_object_list(values)
    return values[0]


def wait_for_all(world: World) -> None:
    """Return when every process has come here."""
    if world.size > 1:
        dist.barrier()
