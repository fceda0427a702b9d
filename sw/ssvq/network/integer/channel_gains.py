"""Where channels of one value differ much in size: a gain for each, which the core's multipliers take in.

Only sums and norms look at each channel apart from the others. So what they alone take may have a power of two for each
channel in its scale, as the residual stream of a transformer does, of which single channels are 100 times the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ssvq.network import operators as ops
from ssvq.network.calibration import ValueRange
from ssvq.network.graph import Graph, Node
from ssvq_gen.vector_arithmetic import GAIN_SHIFT_MAX

OUTLIER_RATIO = 8.0
"""Gains cost parameters in DRAM for each sum: they pay where the largest channel is so many times the usual one."""
_SMALLEST_REACH = 1e-9


def channel_gains(graph: Graph, ranges: Mapping[str, ValueRange]) -> dict[str, tuple[float, ...]]:
    """Gains, from 1 to 2**`GAIN_SHIFT_MAX`, of the channels of those values that need and may have them, by name."""
    last = _channels_last(graph)
    found = {}
    for name in last:
        reach = np.asarray(ranges[name].reach if name in ranges else ())
        if reach.size > 1 and _may_have_gains(graph, name, last) and _differ(reach):
            found[name] = _gains(reach)
    return found


def _differ(reach: np.typing.NDArray[np.float64]) -> bool:
    return float(reach.max()) > OUTLIER_RATIO * max(float(np.median(reach)), _SMALLEST_REACH)


def _gains(reach: np.typing.NDArray[np.float64]) -> tuple[float, ...]:
    """The largest channel has 2**`GAIN_SHIFT_MAX`; no channel reaches farther than its steps do."""
    unit = max(float(reach.max()), _SMALLEST_REACH) / (1 << GAIN_SHIFT_MAX)
    return tuple(float(1 << max(0, math.ceil(math.log2(max(own / unit, 1.0))))) for own in reach.tolist())


def _channels_last(graph: Graph) -> set[str]:
    """Values whose last axis is that of the channels, as far as layers, norms and sums tell."""
    found: set[str] = set()
    for node in graph.nodes:
        if isinstance(node.operator, ops.Linear | ops.LayerNorm):
            found |= {node.name, node.operands[0]}
    # from results to operands and back, along sums
    for nodes in (graph.nodes[::-1], graph.nodes):
        for node in nodes:
            if isinstance(node.operator, ops.Add):
                terms = {node.name, *(name for name in node.operands if _is_as_wide(graph, name, node))}
                if terms & found:
                    found |= terms
    return found


def _may_have_gains(graph: Graph, name: str, last: set[str]) -> bool:
    """Whether all that takes a value, and what gives it, knows channels apart."""
    users = graph.users.get(name, ())
    producer = graph.by_name.get(name)
    made = producer is None or isinstance(producer.operator, ops.Linear | ops.LayerNorm | ops.Add)
    taken = all(_takes_gains(graph, name, user, last) for user in users)
    return made and bool(users) and taken and name not in graph.outputs.values()


def _takes_gains(graph: Graph, name: str, user: Node, last: set[str]) -> bool:
    if isinstance(user.operator, ops.LayerNorm):
        return user.operands[0] == name
    return isinstance(user.operator, ops.Add) and user.name in last and _is_as_wide(graph, name, user)


def _is_as_wide(graph: Graph, name: str, node: Node) -> bool:
    return graph.type_of(name).shape[-1:] == node.type.shape[-1:]
