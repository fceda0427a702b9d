"""What of a graph runs on the core and what on the host: parts in an order in which each has what it takes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch

from ssvq.network import operators as ops
from ssvq.network.errors import GraphError
from ssvq.network.graph import Graph, Node
from ssvq.network.work_report import Reason, host_reason
from ssvq_gen.config import CoreConfig

ONLY_MOVEMENT = "nothing but movement between values of the host"
MOVED_BEFORE = "movement of what comes from the host, before the core takes it"


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """Nodes that run in one go.

    Attributes:
        name: `core 0`, `host 0` and so on.
        on_core: where.
        graph: of these nodes. Its inputs are values of the whole graph's inputs and of parts before; its outputs have
            the names of the values that parts after it, or the whole graph, take.
    """

    name: str
    on_core: bool
    graph: Graph


@dataclass(frozen=True, kw_only=True, eq=False)
class Partition:
    """A graph in parts, each after those whose results it takes.

    Attributes:
        graph: the whole.
        parts: in order.
        reasons: why nodes are on the host, by name; all others are on the core.
    """

    graph: Graph
    parts: tuple[Part, ...]
    reasons: Mapping[str, str]

    @property
    def reason(self) -> Reason:
        """For `work_report`."""
        return lambda node: self.reasons.get(node.name)

    @property
    def core_nodes(self) -> tuple[Node, ...]:
        """All nodes on the core."""
        return tuple(node for node in self.graph.nodes if node.name not in self.reasons)


def core_reason(graph: Graph, config: CoreConfig) -> Reason:
    """Why a node cannot run on a core, as far as its operator and the core's units say; None where it may.

    That its operands are not where the core needs them is found out by lowering, see `ssvq.network.hosting.assembly`.
    """

    def reason(node: Node) -> str | None:
        operator = node.operator
        if isinstance(operator, ops.Host):
            return host_reason(node)
        if isinstance(operator, ops.Embedding):
            return "a look-up in a table is the host's"
        masks = isinstance(operator, (ops.Softmax, *ops.MOVEMENT))
        values = [node.name, *(name for name in node.operands if name not in graph.constants)]
        for name in values:
            if (dtype := graph.type_of(name).dtype) != torch.float32 and not (masks and dtype == torch.bool):
                return f"{name} has numbers of type {str(dtype).removeprefix('torch.')}, which are not quantized"
        if isinstance(operator, ops.MatMul) and not config.attention:
            return f"the core {config.name} has no products of activations"
        if isinstance(operator, ops.Softmax | ops.LayerNorm | ops.Elementwise) and not config.vector:
            return f"the core {config.name} has no vector unit"
        return None

    return reason


def partition(graph: Graph, reason: Reason, *, strict: bool = False) -> Partition:
    """Split a graph into as few parts in a row as its dependencies allow, those of the core as large as possible.

    Args:
        graph: any.
        reason: says which nodes run on the host.
        strict: a node on the host is an error.

    Raises:
        GraphError: with `strict`, it names the first node on the host, its operator and the reason.
    """
    reasons = {node.name: why for node in graph.nodes if (why := reason(node)) is not None}
    _add_movement(graph, reasons)
    if strict:
        require_core(graph, reasons)
    levels = _levels(graph, reasons)
    parts: list[Part] = []
    counts = {True: 0, False: 0}
    for level in sorted(set(levels.values())):
        nodes = tuple(node for node in graph.nodes if levels[node.name] == level)
        on_core = nodes[0].name not in reasons
        name = f"{'core' if on_core else 'host'} {counts[on_core]}"
        counts[on_core] += 1
        parts.append(Part(name=name, on_core=on_core, graph=subgraph(graph, nodes)))
    return Partition(graph=graph, parts=tuple(parts), reasons=reasons)


def require_core(graph: Graph, reasons: Mapping[str, str]) -> None:
    """Raises GraphError where a node is on the host."""
    for node in graph.nodes:
        if node.name in reasons:
            kind = node.operator.operation if isinstance(node.operator, ops.Host) else type(node.operator).__name__
            hint = batch_hint(graph, reasons)
            why = reasons[node.name] if hint is None else f"{reasons[node.name]}; {hint}"
            raise GraphError(node.name, f"{kind} must run on the core: {why}")


def batch_hint(graph: Graph, reasons: Mapping[str, str]) -> str | None:
    """What to do about a batch of several samples, where nodes are on the host; None where there is none."""
    lengths = {type.shape[0] if len(type.shape) > 1 else 1 for type in graph.inputs.values()}
    if not reasons or len(lengths) != 1 or lengths == {1}:
        return None
    (count,) = lengths
    return (
        f"the first axis of the inputs has {count} places: where that is a batch, compile the model for a batch of 1, "
        f"and run it {count} times, as the core takes one sample at a time"
    )


def _levels(graph: Graph, reasons: Mapping[str, str]) -> dict[str, int]:
    """The part of each node: even ones are the host's, odd ones the core's, and each has only operands before it."""
    levels: dict[str, int] = {}
    for node in graph.nodes:
        least = max((levels[name] for name in node.operands if name in levels), default=0)
        levels[node.name] = least + (least % 2 != (node.name not in reasons))
    return levels


def _add_movement(graph: Graph, reasons: dict[str, str]) -> None:
    """Movement that the host takes, and before which the core computes nothing, is the host's."""
    computed: set[str] = set()
    for node in graph.nodes:
        if node.name not in reasons and (not _moves(node, reasons) or computed & set(node.operands)):
            computed.add(node.name)
    for node in reversed(graph.nodes):
        users = graph.users.get(node.name, ())
        ends = not users or node.name in graph.outputs.values() or any(user.name in reasons for user in users)
        if _moves(node, reasons) and node.name not in computed and ends:
            reasons[node.name] = ONLY_MOVEMENT


def moved_before(graph: Graph, name: str) -> tuple[str, ...]:
    """Movements of a part between its inputs and a node, which the host can do before the values cross."""
    found: list[str] = []
    for node in graph.nodes:
        if isinstance(node.operator, ops.MOVEMENT) and all(
            own not in graph.by_name or own in found for own in node.operands
        ):
            found.append(node.name)
    taken = set(graph.by_name[name].operands)
    for node in reversed(graph.nodes):
        if node.name in taken and node.name in found:
            taken |= set(node.operands)
    return tuple(own for own in found if own in taken)


def _moves(node: Node, reasons: Collection[str]) -> bool:
    return node.name not in reasons and isinstance(node.operator, ops.MOVEMENT)


def subgraph(graph: Graph, nodes: tuple[Node, ...]) -> Graph:
    """Some nodes as a graph of their own: what crosses its border are inputs and outputs by the values' names."""
    own = {node.name for node in nodes}
    taken = dict.fromkeys(name for node in nodes for name in node.operands if name not in own)
    ends = set(graph.outputs.values())
    outputs = [
        node.name
        for node in nodes
        if node.name in ends or any(user.name not in own for user in graph.users.get(node.name, ()))
    ]
    order = [name for name in graph.inputs if name in taken] + [name for name in taken if name in graph.by_name]
    return Graph(
        inputs={name: graph.type_of(name) for name in order},
        constants={name: graph.constants[name] for name in taken if name in graph.constants},
        nodes=nodes,
        outputs={name: name for name in outputs},
    )
