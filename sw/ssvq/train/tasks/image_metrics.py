"""How well a model does on images, as sums that add up over batches and processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, kw_only=True)
class ImageMetrics:
    """Some metrics.

    Attributes:
        names: of the metrics.
        of_teacher: whether outputs are compared with a teacher's, or with labels int64 (B,).
        sums: of a batch's outputs and what they are compared with, (len(names) + 1,): the metrics' sums, and what these
            are divided by when all batches are summed.
    """

    names: tuple[str, ...]
    of_teacher: bool
    sums: Callable[[Tensor, Tensor], Tensor]


def _label_sums(logits: Tensor, labels: Tensor) -> Tensor:
    right = (logits.argmax(1) == labels).sum()
    return torch.stack((right, functional.cross_entropy(logits, labels, reduction="sum"), _count(logits)))


def _teacher_sums(logits: Tensor, targets: Tensor) -> Tensor:
    same = (logits.argmax(1) == targets.argmax(1)).sum()
    divergence = functional.kl_div(logits.log_softmax(1), targets.log_softmax(1), reduction="sum", log_target=True)
    return torch.stack((same, divergence, _count(logits)))


def _error_sums(outputs: Tensor, targets: Tensor) -> Tensor:
    return torch.stack(((outputs - targets).square().sum(), targets.square().sum()))


def _count(outputs: Tensor) -> Tensor:
    return torch.tensor(len(outputs), device=outputs.device)


LABELS = ImageMetrics(names=("accuracy", "cross_entropy"), of_teacher=False, sums=_label_sums)
"""Share of right classes, and mean cross-entropy."""
TEACHER = ImageMetrics(names=("agreement", "divergence"), of_teacher=True, sums=_teacher_sums)
"""Share of the teacher's classes, and mean divergence from its probabilities."""
ERROR = ImageMetrics(names=("relative_error",), of_teacher=True, sums=_error_sums)
"""Squared error of outputs of any meaning over the square of the teacher's."""
