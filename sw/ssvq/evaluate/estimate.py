"""A mean over samples that says how far it can be trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean.

    Attributes:
        value: mean of the samples.
        standard_error: of the mean, from the spread of the samples; NaN for a single sample, of which none is known.
        count: number of samples.
    """

    value: float
    standard_error: float
    count: int

    def __str__(self) -> str:
        return f"{self.value:.4f} +- {self.standard_error:.4f} (n={self.count})"


def mean_of(samples: Tensor) -> Estimate:
    """The mean of samples (N,), of any type.

    Raises:
        ValueError: there is no sample, or more than one dimension.
    """
    if samples.ndim != 1 or not len(samples):
        raise ValueError(f"samples must be (N,) with at least one, not {tuple(samples.shape)}")
    values = samples.double()
    count = len(values)
    error = float(values.std()) / math.sqrt(count) if count > 1 else math.nan
    return Estimate(value=float(values.mean()), standard_error=error, count=count)
