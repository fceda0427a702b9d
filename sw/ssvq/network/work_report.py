"""How much work a graph is, and which of it stays on the host."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from rich.table import Table

from ssvq.network.graph import Graph, Node
from ssvq.network.operators import Conv2d, ConvTranspose2d, Host, Linear, MatMul

Reason = Callable[[Node], str | None]
"""Why a node has to run on the host, or None where it runs on the core."""


def host_reason(node: Node) -> str | None:
    """The reason of a Host; None for all other operators."""
    return node.operator.reason if isinstance(node.operator, Host) else None


@dataclass(frozen=True, kw_only=True)
class NodeWork:
    """The work of one node; a value takes one byte in int8.

    Attributes:
        name, operation: of the node; the operation is the operator's kind, or that of a Host as its origin has it.
        macs: multiplications with a following addition; those of layers and matrix products alone count.
        weights: numbers in its constants.
        activation_bytes: of its result.
        host_reason: why it runs on the host; None on the core.
        bytes_in: what it takes from the other side, of which each value crosses once for all nodes that take it.
        bytes_out: its result, where the other side takes that.
    """

    name: str
    operation: str
    macs: int
    weights: int
    activation_bytes: int
    host_reason: str | None
    bytes_in: int
    bytes_out: int


@dataclass(frozen=True, kw_only=True)
class WorkReport:
    """The work of all nodes in their order, with sums. Inputs and outputs of the graph are on the host.

    Attributes:
        nodes: the work of each.
        input_bytes: of the graph's inputs that the core takes.
        output_bytes: of the graph's outputs that the core gives.
        to_host_bytes: what nodes on the host take from the core.
        from_host_bytes: what the core takes from nodes on the host.
    """

    nodes: tuple[NodeWork, ...]
    input_bytes: int
    output_bytes: int
    to_host_bytes: int
    from_host_bytes: int

    @property
    def macs(self) -> int:
        """Of all nodes."""
        return sum(node.macs for node in self.nodes)

    @property
    def weights(self) -> int:
        """Of all nodes; one that two nodes have counts twice, as it is read twice."""
        return sum(node.weights for node in self.nodes)

    @property
    def on_host(self) -> tuple[NodeWork, ...]:
        """The nodes that run on the host."""
        return tuple(node for node in self.nodes if node.host_reason is not None)

    @property
    def host_share(self) -> float:
        """Part of the multiplications that is on the host, 0..1."""
        return sum(node.macs for node in self.on_host) / max(1, self.macs)

    def table(self) -> Table:
        """A row for each node, and the sums."""
        table = Table(show_footer=True)
        table.add_column("node", footer=f"{len(self.nodes)} nodes", overflow="fold")
        table.add_column("operator", footer=f"{len(self.on_host)} on the host")
        for heading, total in (
            ("MACs", self.macs),
            ("weights", self.weights),
            ("bytes", sum(node.activation_bytes for node in self.nodes)),
        ):
            table.add_column(heading, footer=f"{total:,}", justify="right")
        table.add_column("on the host, as", footer=f"{self.host_share:.1%} of MACs", overflow="fold")
        for node in self.nodes:
            counts = (f"{count:,}" if count else "" for count in (node.macs, node.weights, node.activation_bytes))
            table.add_row(node.name, node.operation, *counts, node.host_reason or "")
        return table

    def host_table(self) -> Table:
        """A row for each node on the host: why, and the bytes that cross for it."""
        table = Table(show_footer=True)
        table.add_column("node", footer=f"{self.host_share:.1%} of MACs", overflow="fold")
        table.add_column("operator")
        table.add_column("to host", footer=f"{self.to_host_bytes:,}", justify="right")
        table.add_column("from host", footer=f"{self.from_host_bytes:,}", justify="right")
        table.add_column("why", overflow="fold")
        for node in self.on_host:
            table.add_row(
                node.name, node.operation, f"{node.bytes_in:,}", f"{node.bytes_out:,}", node.host_reason or ""
            )
        return table


def work_report(graph: Graph, *, reason: Reason = host_reason) -> WorkReport:
    """The work of a graph.

    Args:
        graph: any.
        reason: says which nodes run on the host; by default those that are a Host. A core without some operator, or one
            that is too small for a node, has more of them.
    """
    reasons = {node.name: reason(node) for node in graph.nodes}
    outputs = set(graph.outputs.values())
    crossed: set[str] = set()
    nodes: list[NodeWork] = []
    for node in graph.nodes:
        is_host = reasons[node.name] is not None
        taken = 0
        for operand in dict.fromkeys(node.operands):
            from_other_side = operand in reasons and (reasons[operand] is not None) != is_host
            if from_other_side and operand not in crossed:
                crossed.add(operand)
                taken += graph.type_of(operand).size
        leaves = any((reasons[user.name] is not None) != is_host for user in graph.users.get(node.name, ()))
        nodes.append(
            NodeWork(
                name=node.name,
                operation=node.operator.operation if isinstance(node.operator, Host) else type(node.operator).__name__,
                macs=macs(graph, node),
                weights=sum(graph.constants[name].numel() for name in node.operands if name in graph.constants),
                activation_bytes=node.type.size,
                host_reason=reasons[node.name],
                bytes_in=taken,
                bytes_out=node.type.size if leaves else 0,
            )
        )

    def on_core(name: str) -> bool:
        return name in reasons and reasons[name] is None

    return WorkReport(
        nodes=tuple(nodes),
        input_bytes=sum(
            type.size
            for name, type in graph.inputs.items()
            if any(on_core(user.name) for user in graph.users.get(name, ()))
        ),
        output_bytes=sum(graph.type_of(name).size for name in outputs if on_core(name)),
        to_host_bytes=sum(node.bytes_in for node in nodes if node.host_reason is not None),
        from_host_bytes=sum(node.bytes_in for node in nodes if node.host_reason is None),
    )


def macs(graph: Graph, node: Node) -> int:
    """Multiplications of a layer or a matrix product; 0 for other nodes."""
    shapes = [graph.type_of(name).shape for name in node.operands]
    match node.operator:
        case Linear() | MatMul():
            return node.type.size * shapes[0][-1]
        case Conv2d():
            return node.type.size * math.prod(shapes[1][1:])
        case ConvTranspose2d():
            return math.prod(shapes[0]) * math.prod(shapes[1][1:])
        case _:
            return 0
