"""Correlation of two series of numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """How two series go together, -1 to 1.

    Attributes:
        pearson: linear.
        spearman: of the ranks, ties sharing their mean rank.
        count: length of the series.
    """

    pearson: float
    spearman: float
    count: int


def correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> Correlation:
    """Both correlations of two series (N,).

    Raises:
        ValueError: the shapes differ, there are fewer than two numbers, or a series is not finite or constant.
    """
    return Correlation(pearson=pearson(first, second), spearman=spearman(first, second), count=len(first))


def pearson(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Linear correlation of two series (N,). Raises ValueError as `correlation`."""
    _check(first, second)
    x, y = first - first.mean(), second - second.mean()
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))


def spearman(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Correlation of the ranks of two series (N,), ties sharing their mean rank. Raises ValueError as `correlation`."""
    _check(first, second)
    return pearson(ranks(first), ranks(second))


def ranks(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1 of numbers (N,); equal ones share the mean of theirs."""
    _, place, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    shared: NDArray[np.float64] = (last - (counts - 1) / 2)[place]
    return shared


def _check(first: NDArray[np.float64], second: NDArray[np.float64]) -> None:
    if first.ndim != 1 or first.shape != second.shape or len(first) < 2:
        raise ValueError(f"both series must be (N,) with N of at least 2, not {first.shape}, {second.shape}")
    for series in (first, second):
        if not np.isfinite(series).all():
            raise ValueError("series must be of finite numbers")
        if (series == series[0]).all():
            raise ValueError(f"numbers of a series must differ, not all be {series[0]}")
