"""From a graph to a network for a core: which nodes it takes, and a program for each of its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ssvq.network.calibration import ValueRange
from ssvq.network.compilation import compile_network
from ssvq.network.errors import GraphError
from ssvq.network.graph import Graph
from ssvq.network.hosting.partition import (
    MOVED_BEFORE,
    Partition,
    core_reason,
    moved_before,
    partition,
    require_core,
    subgraph,
)
from ssvq.network.hosting.partitioned_network import CorePart, HostPart, PartitionedNetwork
from ssvq.network.integer.integer_network import ImageStep, IntegerNetwork, ProductStep, Step, VectorStep
from ssvq.network.integer.lowering import lower
from ssvq.network.program.transfers import output_block
from ssvq.quantize.layer import CompressedLayer
from ssvq.window_operation import WindowOperation
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import Opcode

Ranges = Mapping[str, ValueRange]
Layers = Mapping[str, CompressedLayer]


@dataclass(frozen=True, kw_only=True, eq=False)
class Assembled:
    """A network for a core, and how its graph was split for that."""

    network: PartitionedNetwork
    partition: Partition


def assemble(
    graph: Graph,
    ranges: Ranges,
    layers: Layers,
    config: CoreConfig,
    *,
    strict: bool = False,
    on_part: Callable[[str], None] = lambda name: None,
) -> Assembled:
    """Compile what the core can do, and leave the rest to the host. The same arguments give the same programs.

    Args:
        graph: a network of batch 1.
        ranges: of all its values, from `calibrate`.
        layers: compressed weights of all nodes that `core_reason` leaves to the core, by node.
        config: of the core.
        strict: a node on the host is an error.
        on_part: called with the name of each part before it is compiled.

    Raises:
        GraphError: something does not fit the core, such as its memory; with `strict`, a node on the host.
    """
    split = fit(graph, ranges, layers, config, strict=strict)
    parts: list[CorePart | HostPart] = []
    for part in split.parts:
        on_part(part.name)
        if part.on_core:
            compiled = compile_network(part.graph, _own(part.graph, ranges), layers, config)
            parts.append(CorePart(name=part.name, compiled=compiled))
        else:
            parts.append(HostPart(name=part.name, graph=part.graph))
    for output, name in graph.outputs.items():
        if name in graph.constants:
            raise GraphError(output, f"an output must be computed, {name!r} is not")
    network = PartitionedNetwork(inputs=graph.inputs, parts=tuple(parts), outputs=graph.outputs)
    return Assembled(network=network, partition=split)


def fit(graph: Graph, ranges: Ranges, layers: Layers, config: CoreConfig, *, strict: bool = False) -> Partition:
    """The partition of which the core can do all that it gets: what lowering refuses goes to the host, node by node.

    Raises:
        GraphError: with `strict`, there is a node on the host; what is refused is no node; a format of weights that the
            core does not have.
    """
    _require_formats(layers, config)
    static = core_reason(graph, config)
    reasons = {node.name: why for node in graph.nodes if (why := static(node)) is not None}
    accepted: set[tuple[str, ...]] = set()
    while True:
        if strict:
            require_core(graph, reasons)
        split = partition(graph, lambda node: reasons.get(node.name), strict=strict)
        reasons.update(split.reasons)
        refused: dict[str, str] = {}
        for part in split.parts:
            nodes = tuple(node.name for node in part.graph.nodes)
            if part.on_core and nodes not in accepted:
                found = _refused(part.graph, ranges, layers, config)
                if not found:
                    accepted.add(nodes)
                for name, why in found.items():
                    moved = moved_before(part.graph, name)
                    refused |= dict.fromkeys(moved, MOVED_BEFORE) if moved else {name: why}
        if not refused:
            return split
        reasons.update(refused)


def _require_formats(layers: Layers, config: CoreConfig) -> None:
    """Weights in a format that the core cannot decode are an error, as another format is all that is needed."""
    known = [format.name.lower() for format in config.formats]
    for name, layer in layers.items():
        if layer.format.value not in known:
            rule = f"format {layer.format.value} cannot run on the core {config.name}, only {', '.join(known)}"
            raise GraphError(name, rule)


def _refused(graph: Graph, ranges: Ranges, layers: Layers, config: CoreConfig) -> dict[str, str]:
    """Nodes of a core's part that it cannot do, and why; there may be more."""
    try:
        network = lower(graph, _own(graph, ranges), layers, word_bytes=config.word_bytes)
    except GraphError as error:
        if error.where not in graph.by_name:
            raise
        return {error.where: error.problem}
    return _without_unit(graph, network, config) or _not_stored(network, config)


def _without_unit(graph: Graph, network: IntegerNetwork, config: CoreConfig) -> dict[str, str]:
    """Nodes whose steps need a unit that the core does not have."""
    found = {}
    for step in network.steps:
        if (lacking := _lacking(step, config)) is not None:
            found[_node_of(step, graph)] = f"the core {config.name} has no {lacking}"
    return found


def _node_of(step: Step, graph: Graph) -> str:
    """The node that a step is of, by its name: where a node has several, theirs have a `.` and more after it.

    Raises GraphError where there is none.
    """
    name = step.name if step.name in graph.by_name else step.target.tensor
    while name not in graph.by_name:
        name, point, _ = name.rpartition(".")
        if not point:
            raise GraphError(step.name, "there is no node of this name")
    return name


def _lacking(step: Step, config: CoreConfig) -> str | None:
    if isinstance(step, ProductStep):
        return None if config.attention else "products of activations"
    if isinstance(step, VectorStep):
        return None if config.vector else "vector unit"
    if isinstance(step, ImageStep):
        if not isinstance(step.operation, WindowOperation):
            return None if config.convolution else "convolutions"
        if not config.vector:
            return "vector unit"
        lacks = step.operation.opcode is Opcode.DEPTHWISE and not config.depthwise_taps
        return "depthwise convolutions" if lacks else None
    return None


def _not_stored(network: IntegerNetwork, config: CoreConfig) -> dict[str, str]:
    """Results that cross to the host, but are not stored so that the core can hand them over."""
    found = {}
    for name in network.outputs:
        try:
            output_block(network, name, word_bytes=config.word_bytes)
        except GraphError as error:
            found[name] = error.problem
    return found


def _own(graph: Graph, ranges: Ranges) -> dict[str, ValueRange]:
    """Ranges of a part's values: a scale is that of what has it within the part."""
    names = (*graph.inputs, *graph.constants, *graph.by_name)
    return {name: ranges[name] for name in names if name in ranges}


def core_candidates(graph: Graph, config: CoreConfig) -> Graph:
    """What `core_reason` leaves to the core, as a graph: its layers are those to compress."""
    reason = core_reason(graph, config)
    nodes = tuple(node for node in graph.nodes if reason(node) is None)
    return subgraph(graph, nodes)
