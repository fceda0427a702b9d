"""Several processes played by one, where only what it says to the others matters."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ssvq.train.processes import Part, Processes


class FakeProcesses(Processes):
    """Processes of which this is one; the others say what `others` makes of what this one says.

    Args:
        part: which one this is.
        others: values of this process to those of another.
    """

    def __init__(self, part: Part, others: Callable[[Tensor], Tensor] = lambda values: values) -> None:
        self.part = part
        self._others = others

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def total(self, values: Tensor) -> Tensor:
        values = values.detach().double()
        return values + sum(self._others(values) for _ in range(self.part.count - 1))

    def gather(self, values: Tensor) -> Tensor:
        return torch.stack([values, *(self._others(values) for _ in range(self.part.count - 1))])


def alone() -> FakeProcesses:
    """One process."""
    return FakeProcesses(Part())
