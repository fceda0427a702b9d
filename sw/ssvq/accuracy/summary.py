"""From runs to figures: mean and spread over the seeds of every row."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ssvq.accuracy.store import Outcome
from ssvq.accuracy.study import Row, Run

Found = Callable[[Run], Outcome | None]

SIGN_METRICS = {"signs changed": "signs_changed", "signs frozen": "signs_frozen"}
"""Metrics that are the last value of a column of the training log."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure of a row.

    Attributes:
        model, method, variant, bits_nominal: of the row.
        bits_per_weight, file_ratio: as stored, see `Outcome`; means over the seeds.
        metric: its name.
        mean: over the seeds.
        std: standard deviation over the seeds; None for a single one.
        standard_error: of a single seed's figure over its sample, where that is small; else None.
        seeds: how many.
    """

    model: str
    method: str
    variant: str
    bits_nominal: float
    bits_per_weight: float
    file_ratio: float
    metric: str
    mean: float
    std: float | None
    standard_error: float | None
    seeds: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def outcomes(row: Row, found: Found) -> list[Outcome]:
    """Outcomes of those of a row's runs that are done."""
    return [outcome for run in row.runs if (outcome := found(run)) is not None]


def summarise(rows: Sequence[Row], found: Found) -> list[Figure]:
    """All figures of all rows; a row without a finished run has none, one with some has those of fewer seeds."""
    return [figure for row in rows if (done := outcomes(row, found)) for figure in _figures(row, done)]


def _figures(row: Row, done: Sequence[Outcome]) -> list[Figure]:
    metrics = [{**outcome.metrics, **_signs(outcome)} for outcome in done]
    figures = []
    for metric in metrics[0]:
        values = [found[metric] for found in metrics if metric in found]
        figures.append(
            Figure(
                model=row.model,
                method=row.method,
                variant=row.variant,
                bits_nominal=row.bits,
                bits_per_weight=statistics.fmean(outcome.bits_per_weight for outcome in done),
                file_ratio=statistics.fmean(outcome.file_ratio for outcome in done),
                metric=metric,
                mean=statistics.fmean(values),
                std=statistics.stdev(values) if len(values) > 1 else None,
                standard_error=done[0].errors.get(metric),
                seeds=len(values),
            )
        )
    return figures


def _signs(outcome: Outcome) -> dict[str, float]:
    last = {name: outcome.curve[column][-1] for name, column in SIGN_METRICS.items() if outcome.curve.get(column)}
    return {name: value for name, value in last.items() if value is not None}
