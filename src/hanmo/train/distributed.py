"""Several processes as one: started by torchrun, or alone.

Every process computes its share of the rows of a step; gradients are summed in fp32. Since the loss is a sum over the
weights of the whole step divided by their total, the result equals one process's up to the order of additions.
"""

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class World:
    """Which process this is, and of how many."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def sum_(self, tensors: Sequence[Tensor]) -> None:
        """Add up tensors over all processes, in place, as one message."""
        if self.size == 1:
            return
        flat = torch.cat([t.reshape(-1) for t in tensors])
        dist.all_reduce(flat)
        start = 0
        for tensor in tensors:
            tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
            start += tensor.numel()

    def sum_numbers(self, *numbers: float) -> list[float]:
        """Add up plain numbers over all processes, in double precision."""
        total = torch.tensor(numbers, dtype=torch.float64)
        if self.size > 1:
            dist.all_reduce(total)
        return total.tolist()

    def of_first(self, number: float) -> float:
        """The first process's number in all of them: clocks differ, and what follows from them must not."""
        return number if self.size == 1 else self.sum_numbers(number if self.is_first else 0.0)[0]

    def any(self, flag: bool) -> bool:
        """Whether the flag is raised in some process, so that all leave together."""
        return self.sum_numbers(float(flag))[0] > 0

    def wait(self) -> None:
        """Until every process has come here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def world() -> Generator[World]:
    """The processes torchrun has started, or one alone."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World()
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")  # plain numbers stay on the CPU
    try:
        yield World(rank=dist.get_rank(), size=size)
    finally:
        dist.destroy_process_group()
