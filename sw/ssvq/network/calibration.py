"""Ranges of all values of a network, from samples of its inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from ssvq.network.errors import GraphError
from ssvq.network.float_executor import execute_all
from ssvq.network.graph import Graph
from ssvq.network.operators import Add, Multiply, Softmax
from ssvq.reference import ActivationScale, FloatArray

Clip = Literal["percentile", "mse"]
"""How a range is chosen: by the share of values in it, or by the mean square error of all that int8 makes of it."""

KEPT_VALUES = 1 << 12
"""Values of each tensor of a sample that the mean square error is measured on, evenly spaced."""
_SHARES = (*np.linspace(1.0, 0.2, 17).tolist(),)
"""Parts of a bound among which the one with the least mean square error is searched."""


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


def calibrate(
    graph: Graph, samples: Iterable[Sequence[Tensor]], *, clip: Clip = "percentile", percentile: float = 100.0
) -> dict[str, ValueRange]:
    """The range of every float value of a graph: inputs, constants and nodes, by name.

    A value that is infinite anywhere, as masks are, has none, and cannot be quantized. Of scores, only those count that
    a softmax's mask keeps.

    Args:
        graph: a network.
        samples: inputs, one after the other.
        clip: "mse" takes of each value's range the part in which int8 makes the least mean square error of the
            samples' values; what lies outside saturates.
        percentile: share of a sample's values, in percent, that lie within its range; outliers saturate. The range is
            that of all samples together. 100 with "mse".

    Raises:
        GraphError: there is no sample, an input is not finite, or a value is not a number.
        ValueError: clip is not one of the two, the percentile is not above 50 and at most 100, or both are given.
    """
    if clip not in get_args(Clip):
        raise ValueError(f"clip must be one of {', '.join(get_args(Clip))}, not {clip!r}")
    if not 50 < percentile <= 100:
        raise ValueError(f"percentile must be above 50 and at most 100, not {percentile}")
    if clip == "mse" and percentile < 100:
        raise ValueError(f"percentile must be 100 with clip 'mse', not {percentile}")
    ranges: dict[str, ValueRange] = {}
    infinite: set[str] = set()
    kept: dict[str, list[FloatArray]] = {}
    for sample in samples:
        for name, values in _values_that_count(graph, sample):
            if not values.is_floating_point() or not values.numel() or name in infinite:
                continue
            if name not in graph.inputs and bool(values.isinf().any()):
                infinite.add(name)
            else:
                found = _range(name, values, percentile)
                ranges[name] = found.union(ranges[name]) if name in ranges else found
                if clip == "mse":
                    kept.setdefault(name, []).append(_evenly_chosen(values))
    if not ranges:
        raise GraphError("calibration", "there must be at least one sample")
    ranges = {name: found for name, found in ranges.items() if name not in infinite}
    for name in [name for name in kept if name in ranges]:
        ranges[name] = least_error(ranges[name], np.concatenate(kept[name]))
    for name, constant in graph.constants.items():
        if constant.is_floating_point() and constant.numel() and not bool(constant.isinf().any()):
            ranges[name] = _range(name, constant, 100.0)
    return ranges


def _values_that_count(graph: Graph, sample: Sequence[Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Inputs and results by name; of scores with a mask those that it keeps, in one row."""
    values = execute_all(graph, *sample)
    masks = _masks(graph)
    for name, value in values.items():
        if name in masks:
            keep = masks[name]
            mask = values[keep] if keep in values else graph.constants[keep]
            yield name, value[mask.expand(value.shape)]
        else:
            yield name, value


def _masks(graph: Graph) -> dict[str, str]:
    """The mask of each value that nothing takes but a softmax with one, or a sum or product with a constant before."""
    found: dict[str, str] = {}
    for node in reversed(graph.nodes):
        mask = node.operands[1] if isinstance(node.operator, Softmax) and len(node.operands) > 1 else None
        if isinstance(node.operator, Add | Multiply) and node.operands[1] in graph.constants:
            mask = found.get(node.name)
        name = node.operands[0] if node.operands else ""
        alike = mask is not None and graph.type_of(name).shape == node.type.shape
        if mask is not None and alike and graph.only_user(name) is not None and name not in graph.inputs:
            found[name] = mask
    return found


def least_error(whole: ValueRange, values: FloatArray) -> ValueRange:
    """The part of a range in which int8 makes the least mean square error of values, (n,): bound by bound."""

    def error(part: ValueRange) -> float:
        scale = ActivationScale.from_range(part.low, part.high)
        return float(np.square(scale.dequantize(scale.quantize(values)) - values).mean())

    # int8 always has a zero, and bounds on one side of it could pass each other
    whole = ValueRange(low=min(whole.low, 0.0), high=max(whole.high, 0.0))
    lowered = min((replace(whole, high=whole.high * share) for share in _SHARES), key=error)
    return min((replace(lowered, low=lowered.low * share) for share in _SHARES), key=error)


def _evenly_chosen(values: Tensor) -> FloatArray:
    flat = values.flatten()
    return flat[:: -(-flat.numel() // KEPT_VALUES)].numpy()


def _range(name: str, values: Tensor, percentile: float) -> ValueRange:
    low, high = (float(bound) for bound in values.aminmax())
    if not torch.isfinite(torch.tensor([low, high])).all():
        raise GraphError(name, "its values must be finite for the samples")
    if percentile < 100:
        left_out = int((1 - percentile / 100) * values.numel() / 2)
        bounds = left_out, values.numel() - 1 - left_out
        ordered = np.partition(values.flatten().numpy(), bounds)  # a tenth of the time of sorting
        low, high = (float(ordered[bound]) for bound in bounds)
    return ValueRange(low=low, high=high, reach=_reach(values, max(-low, high, 0.0)))


def _reach(values: Tensor, most: float) -> tuple[float, ...]:
    """Largest magnitude at each place of the last axis, at most that of the range."""
    if values.ndim < 2:
        return ()
    return tuple(values.abs().flatten(0, -2).amax(0).clamp(max=most).tolist())
