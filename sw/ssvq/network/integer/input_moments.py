"""How large the inputs of layers are, channel by channel: what counts in the error of their weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from ssvq.network import operators as ops
from ssvq.network.errors import GraphError
from ssvq.network.float_executor import execute_all
from ssvq.network.graph import Graph
from ssvq.network.integer.patches import takes_patches


def input_moments(graph: Graph, samples: Iterable[Sequence[Tensor]]) -> dict[str, Tensor]:
    """Second moments E[x^2] of the input channels of Linear and Conv2d nodes, float32 (C,), by node name.

    They are what `compress_graph` takes as `importance`. Convolutions whose input is stored as patches have none.

    Raises:
        GraphError: there is no sample.
    """
    sums: dict[str, Tensor] = {}
    count = 0
    for sample in samples:
        count += 1
        values = execute_all(graph, *sample)
        for node in graph.nodes:
            is_convolution = isinstance(node.operator, ops.Conv2d)
            if isinstance(node.operator, ops.Linear) or (is_convolution and not takes_patches(graph, node)):
                x = values[node.operands[0]].double().square()
                channel = 1 if is_convolution else x.ndim - 1
                moment = x.mean([axis for axis in range(x.ndim) if axis != channel])
                sums[node.name] = sums[node.name] + moment if node.name in sums else moment
    if not count:
        raise GraphError("input_moments", "there must be at least one sample")
    return {name: (total / count).to(torch.float32) for name, total in sums.items()}
