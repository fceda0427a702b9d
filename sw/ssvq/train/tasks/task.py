"""What a model is trained for, as the training loop sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ssvq.train.processes import Part, Processes
from ssvq.train.seeds import generator

Batch = tuple[Tensor, ...]
"""Tensors whose first axis is the samples."""


class Task(Protocol):
    """Data, loss and metrics. All that is random is a function of the task's seed, the epoch and the step.

    Attributes:
        batch_size: samples of a training step, of all processes together.
        steps_per_epoch: steps that see each training sample once, as far as whole batches go.
        loss_names, metric_names: keys of what `losses` and `evaluate` return.
    """

    batch_size: int
    steps_per_epoch: int
    loss_names: tuple[str, ...]
    metric_names: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """What the data's files determine and the settings do not show, such as the number of samples."""

    def batches(self, epoch: int, part: Part, *, first: int = 0) -> Iterator[Batch]:
        """A process's part of every batch of an epoch, from a step of the epoch on."""

    def calibration(self, count: int) -> Iterator[Batch]:
        """Batches of training samples to look at before training; the same in all processes."""

    def inputs(self, batch: Batch) -> tuple[Tensor, ...]:
        """Arguments of the model's forward."""

    def losses(self, student: nn.Module, teacher: nn.Module | None, batch: Batch) -> dict[str, Tensor]:
        """Parts of the loss, which is their sum: (B,) each, one value a sample.

        Args:
            student: the model that learns, maybe wrapped for data parallelism; must be called as a whole.
            teacher: in evaluation mode.
            batch: on the device of both.
        """

    def evaluate(self, model: nn.Module, teacher: nn.Module | None, processes: Processes) -> dict[str, float]:
        """Metrics of a model over the evaluation samples of all processes; its mode is restored."""


def unwrapped(model: nn.Module) -> nn.Module:
    """The model itself, without the wrapper of data parallelism."""
    return model.module if isinstance(model, DistributedDataParallel) else model


def epoch_order(count: int, batch_size: int, seed: int, epoch: int) -> Tensor:
    """Numbers of the samples in each batch of an epoch: int64 (count // batch_size, batch_size)."""
    steps = count // batch_size
    order = torch.randperm(count, generator=generator(seed, "order", epoch))
    return order[: steps * batch_size].view(steps, batch_size)


def require_batches(count: int, batch_size: int) -> int:
    """Steps of an epoch.

    Raises:
        ValueError: there is not one whole batch.
    """
    if count < batch_size:
        raise ValueError(f"data.batch_size must be at most the {count} training samples, not {batch_size}")
    return count // batch_size
