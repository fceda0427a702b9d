"""What the integers of every value of a network mean: one scale for all that share storage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ssvq.network import operators as ops
from ssvq.network.calibration import ValueRange
from ssvq.network.graph import Graph, Node
from ssvq.network.integer.channel_gains import channel_gains
from ssvq.reference import ActivationScale
from ssvq_gen.vector_arithmetic import GAIN_SHIFT_MAX

MOVING = (*ops.MOVEMENT, ops.MaxPool)
"""Operators whose results are some of their operands' values."""
_SYMMETRIC_LEVELS = 127
_SMALLEST_RANGE = 1e-9
_FINEST = 4
"""Steps of a sum in one of an operand: more would tell nothing."""


def value_scales(graph: Graph, ranges: Mapping[str, ValueRange]) -> dict[str, ActivationScale]:
    """The scale of every float value that is stored, by name.

    Values that movement joins have one scale, and so have images and their largest pixels. Operands of products have
    zero point 0, and so has what they are moved or scaled from; a softmax's shares are from 0 to their largest. Where
    channels differ much, see `channel_gains`.
    """
    groups = storage_groups(graph)
    symmetric: set[str] = set()
    for node in reversed(graph.nodes):
        if isinstance(node.operator, ops.MatMul):
            symmetric |= {groups.of(operand) for operand in node.operands}
        elif constant_factor(graph, node) is not None and groups.of(node.name) in symmetric:
            symmetric.add(groups.of(node.operands[0]))
        elif isinstance(node.operator, ops.MOVEMENT) and groups.of(node.name) in symmetric:
            symmetric |= {groups.of(operand) for operand in node.operands}
    joined: dict[str, ValueRange] = {}
    for name, own in ranges.items():
        group = groups.of(name)
        joined[group] = own.union(joined[group]) if group in joined else own
    scales = {group: _scale(whole, symmetric=group in symmetric) for group, whole in joined.items()}
    sizes = Counter(groups.of(name) for name in ranges)
    found = {name: scales[groups.of(name)] for name in ranges}
    for name, gains in channel_gains(graph, ranges).items():
        if sizes[groups.of(name)] == 1:
            found[name] = _scale_with_gains(ranges[name], gains)
    for node in graph.nodes:
        scale = found.get(node.name)
        if isinstance(node.operator, ops.Add) and scale is not None and scale.gains:
            found[node.name] = _coarser(scale, [found[operand] for operand in node.operands if operand in found])
    return found


def storage_groups(graph: Graph) -> Groups:
    """Which values share one scale, as movement joins them."""
    groups = Groups()
    for node in graph.nodes:
        if isinstance(node.operator, MOVING):
            for operand in node.operands:
                groups.join(node.name, operand)
    return groups


def constant_factor(graph: Graph, node: Node) -> float | None:
    """What a node multiplies by, where that is one positive constant for all elements; None elsewhere."""
    if not isinstance(node.operator, ops.Multiply) or node.operands[1] not in graph.constants:
        return None
    constant = graph.constants[node.operands[1]]
    factor = float(constant.flatten()[0]) if constant.numel() == 1 else 0.0
    return factor if factor > 0 and graph.type_of(node.operands[0]).shape == node.type.shape else None


def _scale(found: ValueRange, *, symmetric: bool) -> ActivationScale:
    if symmetric:
        reach = max(abs(found.low), abs(found.high), _SMALLEST_RANGE)
        return ActivationScale(scale=reach / _SYMMETRIC_LEVELS)
    return ActivationScale.from_range(found.low, found.high)


def _scale_with_gains(found: ValueRange, gains: tuple[float, ...]) -> ActivationScale:
    """The largest channel has all steps."""
    reach = max(found.reach)
    return ActivationScale(scale=reach / max(gains) / _SYMMETRIC_LEVELS, gains=gains)


def _coarser(scale: ActivationScale, operands: Sequence[ActivationScale]) -> ActivationScale:
    """Gains of a sum, raised where a step is much finer than an operand's, which no multiplier of the core reaches."""
    gains = np.asarray(scale.gains)
    for operand in operands:
        wanted = operand.steps() / (_FINEST * scale.scale)
        gains = np.maximum(gains, np.exp2(np.ceil(np.log2(wanted))))
    return replace(scale, gains=tuple(np.minimum(gains, 1 << GAIN_SHIFT_MAX).tolist()))


class Groups:
    """Names that are joined in pairs, each with the name of its group."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def of(self, name: str) -> str:
        """The name of its group."""
        while self._parents.get(name, name) != name:
            name = self._parents[name]
        return name

    def join(self, a: str, b: str) -> None:
        """Make the groups of both one."""
        self._parents[self.of(a)] = self.of(b)
