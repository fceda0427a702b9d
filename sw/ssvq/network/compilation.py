"""A whole network for a core: from its float graph to a program."""

from __future__ import annotations

from collections.abc import Mapping

from ssvq.network.calibration import ValueRange
from ssvq.network.graph import Graph
from ssvq.network.integer.attention_order import by_heads
from ssvq.network.integer.column_order import by_columns
from ssvq.network.integer.lowering import lower
from ssvq.network.integer.step_names import with_unique_names
from ssvq.network.program.emission import INPUT, OUTPUT, CompiledNetwork, emit
from ssvq.network.tiling.banding import banded
from ssvq.network.tiling.early_fills import with_early_fills
from ssvq.quantize.layer import CompressedLayer
from ssvq_gen.config import CoreConfig


def compile_network(
    graph: Graph, ranges: Mapping[str, ValueRange], layers: Mapping[str, CompressedLayer], config: CoreConfig
) -> CompiledNetwork:
    """Compile a network whose operators the core all has. The same arguments give the same program.

    Args:
        graph: from `graph_of`.
        ranges: of all its values, from `calibrate`.
        layers: compressed weights by node, from `compress_graph`.
        config: of the core.

    Raises:
        GraphError: an operator or tensor that does not fit the core; it names the node.
    """
    network = lower(graph, ranges, layers, word_bytes=config.word_bytes)
    network = by_columns(by_heads(network), word_bytes=config.word_bytes)
    jobs = (*(f"{INPUT}{own.name}" for own in network.inputs), *(f"{OUTPUT}{name}" for name in network.outputs))
    return emit(with_unique_names(with_early_fills(banded(network, config), config), jobs), config)
