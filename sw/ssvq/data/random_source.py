"""Random numbers for the views of a set that are the same in whatever order, and when training is resumed."""

from __future__ import annotations

import random

import torch


class RandomSource:
    """Random numbers that depend on a seed, an epoch and a sample's number only.

    The epoch is in shared memory, so that worker processes that stay alive between epochs see it change.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._epoch = torch.zeros((), dtype=torch.int64)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]  # torch does not annotate it

    @property
    def epoch(self) -> int:
        """The epoch in hand, from 0."""
        return int(self._epoch)

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch.fill_(epoch)

    def sample(self, index: int) -> random.Random:
        """The numbers for a sample in this epoch."""
        return random.Random(f"{self.seed}:{self.epoch}:{index}")
