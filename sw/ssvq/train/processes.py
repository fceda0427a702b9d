"""The processes of a data-parallel run, which `torchrun` or `accelerate launch` has started; one alone otherwise."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ssvq.models.packages import MissingPackageError

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True, kw_only=True)
class Part:
    """One process's part of what all do together.

    Attributes:
        rank: 0..count - 1.
        count: number of processes.
    """

    rank: int = 0
    count: int = 1

    def of(self, total: int) -> slice:
        """This process's items of `total`; the parts of all processes follow each other without gaps."""
        return slice(total * self.rank // self.count, total * (self.rank + 1) // self.count)


class Processes:
    """What training needs to know of its processes, and the few things that they say to each other.

    Args:
        accelerator: of Hugging Face's accelerate; it places models and averages gradients.
    """

    def __init__(self, accelerator: Accelerator) -> None:
        self.accelerator = accelerator
        self.part = Part(rank=accelerator.process_index, count=accelerator.num_processes)

    @classmethod
    def start(cls) -> Processes:
        """Join the other processes, as the environment says; on the CPU where there is nothing faster.

        Raises:
            MissingPackageError: accelerate is not installed.
            RuntimeError: the processes cannot be joined on this machine's devices.
        """
        try:
            from accelerate import Accelerator
        except ModuleNotFoundError as error:
            raise MissingPackageError(
                f"training needs {error.name}; run: pip install 'ssvq-core[train]'", name=error.name
            ) from error
        # on machines without an accelerator, accelerate joins no processes unless it is told to take the CPU
        accelerator = Accelerator(cpu=not torch.accelerator.is_available())
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if accelerator.num_processes != count:
            raise RuntimeError(f"{count} processes were started, but {accelerator.num_processes} can train together")
        return cls(accelerator)

    @property
    def device(self) -> torch.device:
        """Where this process computes."""
        device: torch.device = self.accelerator.device
        return device

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and shows progress."""
        return self.part.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """Sum over all processes, of any shape: float64, on the CPU."""
        if self.part.count > 1:
            values = self.accelerator.reduce(values.detach().to(self.device, torch.float64), reduction="sum")
        return values.detach().cpu().double()  # in this order, as not every device has float64

    def gather(self, values: Tensor) -> Tensor:
        """Equally shaped int64 values (n,) of all processes: (count, n)."""
        gathered: Tensor = self.accelerator.gather(values.to(self.device)[None])
        return gathered

    def average_statistics(self, model: nn.Module) -> None:
        """Give the batch norms of a model the mean of all processes' running statistics, in place.

        As these are linear in what each process has seen, it does not matter how often this is done.
        """
        if self.part.count == 1:
            return
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
                for name in ("running_mean", "running_var"):
                    buffer = module.get_buffer(name)
                    buffer.copy_(self.total(buffer) / self.part.count)

    def wait(self) -> None:
        """Wait until all processes are here."""
        self.accelerator.wait_for_everyone()

    def end(self) -> None:
        """Leave the others; a process alone has nothing to leave."""
        if self.part.count > 1:
            self.accelerator.end_training()

    def prepare(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Both for this process's device, with gradients averaged over all processes.

        All processes get the first one's parameters and buffers. One model trains at a time.
        """
        self.accelerator.free_memory()  # it would keep all models that were ever trained
        wrapped, stepper = self.accelerator.prepare(model, optimizer)
        if isinstance(wrapped, DistributedDataParallel):
            # buffers are constants, such as indices; statistics of batch norms are averaged when they are read
            wrapped.forward_sync_buffers = False
        return wrapped, stepper
