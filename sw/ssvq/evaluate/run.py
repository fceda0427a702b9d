"""Running a model for its outputs only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """While active, a model is in evaluation mode and has no gradients; then every module has its mode back."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True


def outputs(model: nn.Module, batches: Iterable[Tensor]) -> Tensor:
    """What a model gives for batches of inputs, in evaluation mode, one after the other: (N, ...).

    Raises:
        ValueError: there is no batch.
    """
    with evaluating(model):
        parts = [model(batch) for batch in batches]
    if not parts:
        raise ValueError("batches must not be empty")
    return torch.cat(parts)
