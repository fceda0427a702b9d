"""Ranges of all values of a network, from samples of its inputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ssvq.network.errors import GraphError
from ssvq.network.float_executor import execute_all
from ssvq.network.graph import Graph


@dataclass(frozen=True, kw_only=True)
class ValueRange:
    """Smallest and largest value; both are finite.

    Attributes:
        reach: largest magnitude at each place of the last axis; empty where that is not known.
    """

    low: float
    high: float
    reach: tuple[float, ...] = ()

    def union(self, other: ValueRange) -> ValueRange:
        """What holds both."""
        alike = len(self.reach) == len(other.reach)
        reach = tuple(map(max, self.reach, other.reach)) if alike else ()
        return ValueRange(low=min(self.low, other.low), high=max(self.high, other.high), reach=reach)


def calibrate(graph: Graph, samples: Iterable[Sequence[Tensor]], *, percentile: float = 100.0) -> dict[str, ValueRange]:
    """The range of every float value of a graph: inputs, constants and nodes, by name.

    Args:
        graph: a network.
        samples: inputs, one after the other.
        percentile: share of a sample's values, in percent, that lie within its range; outliers saturate. The range is
            that of all samples together.

    Raises:
        GraphError: there is no sample, or a value is not finite.
        ValueError: the percentile is not above 50 and at most 100.
    """
    if not 50 < percentile <= 100:
        raise ValueError(f"percentile must be above 50 and at most 100, not {percentile}")
    ranges: dict[str, ValueRange] = {}
    for sample in samples:
        for name, values in execute_all(graph, *sample).items():
            if values.is_floating_point() and values.numel():
                found = _range(name, values, percentile)
                ranges[name] = found.union(ranges[name]) if name in ranges else found
    if not ranges:
        raise GraphError("calibration", "there must be at least one sample")
    for name, constant in graph.constants.items():
        if constant.is_floating_point() and constant.numel():
            ranges[name] = _range(name, constant, 100.0)
    return ranges


def _range(name: str, values: Tensor, percentile: float) -> ValueRange:
    low, high = (float(bound) for bound in values.aminmax())
    if not torch.isfinite(torch.tensor([low, high])).all():
        raise GraphError(name, "its values must be finite for the samples")
    if percentile < 100:
        ordered = values.flatten().sort().values
        left_out = int((1 - percentile / 100) * ordered.numel() / 2)
        low, high = float(ordered[left_out]), float(ordered[-1 - left_out])
    reach = (
        values.abs().flatten(0, -2).amax(0).clamp(max=max(-low, high, 0.0)) if values.ndim > 1 else values.new_zeros(0)
    )
    return ValueRange(low=low, high=high, reach=tuple(reach.tolist()))
