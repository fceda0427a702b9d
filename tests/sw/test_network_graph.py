"""Graphs: what they check, and running them."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest
import torch

from ssvq.network import Graph, GraphError, Node, TensorType, execute, execute_all
from ssvq.network.front.builder import GraphBuilder
from ssvq.network.operators import Add, Clamp, Concat, Host, Linear, Multiply

X = TensorType((2, 3))


def small_graph() -> Graph:
    """relu(x @ weight.T) + x[...]: a Linear, a Clamp and an Add."""
    return Graph(
        inputs={"x": X},
        constants={"fc.weight": torch.eye(3) * 2},
        nodes=(
            Node(name="fc", operator=Linear(), operands=("x", "fc.weight"), type=X, module="fc"),
            Node(name="relu", operator=Clamp(low=0.0), operands=("fc",), type=X),
            Node(name="sum", operator=Add(), operands=("relu", "x"), type=X),
        ),
        outputs={"y": "sum", "same": "x"},
    )


def test_runs() -> None:
    graph = small_graph()
    x = torch.tensor([[1.0, -2.0, 3.0], [-4.0, 5.0, -6.0]])
    expected = (2 * x).clamp(min=0) + x
    found = execute(graph, x)
    assert torch.equal(found[0], expected)
    assert found[1] is x
    values = execute_all(graph, x)
    assert list(values) == ["x", "fc", "relu", "sum"]
    assert torch.equal(values["fc"], 2 * x)
    assert torch.equal(values["sum"], expected)


def test_gradients_stay_out() -> None:
    x = torch.ones(2, 3, requires_grad=True)
    assert not execute(small_graph(), x)[0].requires_grad


def test_says_who_takes_what() -> None:
    graph = small_graph()
    assert [node.name for node in graph.users["x"]] == ["fc", "sum"]
    assert "sum" not in graph.users
    assert graph.by_name["relu"].operands == ("fc",)
    assert [graph.type_of(name).shape for name in ("x", "fc.weight", "sum")] == [(2, 3), (3, 3), (2, 3)]
    with pytest.raises(GraphError, match="absent: there is no such value in the graph"):
        graph.type_of("absent")


def test_cannot_be_changed() -> None:
    graph = small_graph()
    with pytest.raises(TypeError):
        graph.constants["fc.weight"] = torch.zeros(3, 3)  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        graph.nodes[0].name = "other"  # type: ignore[misc]
    constants = {"c": torch.ones(3)}
    kept = Graph(inputs={"x": X}, constants=constants, nodes=(), outputs={"y": "x"})
    constants.clear()
    assert list(kept.constants) == ["c"]


def with_node(number: int, **changes: object) -> dict[str, object]:
    graph = small_graph()
    nodes = list(graph.nodes)
    nodes[number] = replace(nodes[number], **changes)  # type: ignore[arg-type]
    return {"inputs": graph.inputs, "constants": graph.constants, "nodes": tuple(nodes), "outputs": graph.outputs}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (with_node(1, name="fc"), "fc: inputs, constants and nodes must have names, each its own"),
        (with_node(1, name=""), ": inputs, constants and nodes must have names"),
        (with_node(1, operands=("sum",)), "relu: an operand must come before its node, not 'sum'"),
        (with_node(1, operands=("fc", "x")), "relu: Clamp: there must be 1 operands, not 2"),
        (with_node(1, type=TensorType((3, 2))), r"relu: type must be float32 \(2, 3\), not float32 \(3, 2\)"),
        (with_node(2, operator=Linear(), operands=("relu", "fc.weight", "x")), "sum: Linear: bias must have the shape"),
        (with_node(0) | {"outputs": {"y": "absent"}}, "y: an output must be a value of the graph, not 'absent'"),
        (with_node(0) | {"constants": {"fc.weight": torch.eye(3).double()}}, "fc.weight: dtype must be one of"),
        (
            with_node(0) | {"constants": {"fc.weight": torch.tensor([[1.0, 2.0, torch.nan]] * 3)}},
            "fc.weight: weights must be finite, 3 of 9 are not",
        ),
    ],
)
def test_refuses(changes: dict[str, object], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        Graph(**changes)  # type: ignore[arg-type]


def test_weights_are_constants() -> None:
    square = TensorType((3, 3))
    node = Node(name="fc", operator=Linear(), operands=("x", "w"), type=square)
    with pytest.raises(GraphError, match="fc: operand 1 of Linear must be a constant, not 'w'"):
        Graph(inputs={"x": square, "w": square}, constants={}, nodes=(node,), outputs={"y": "fc"})


def test_constants_that_are_no_weights_may_be_infinite() -> None:
    node = Node(name="mask", operator=Add(), operands=("x", "m"), type=X)
    mask = torch.tensor([0.0, 0.0, -torch.inf])
    graph = Graph(inputs={"x": X}, constants={"m": mask}, nodes=(node,), outputs={"y": "mask"})
    assert execute(graph, torch.zeros(2, 3))[0][1].tolist() == [0.0, 0.0, -torch.inf]


def test_inputs_are_checked() -> None:
    graph = small_graph()
    with pytest.raises(GraphError, match=r"inputs: there must be 1 \(x\), not 0"):
        execute(graph)
    with pytest.raises(GraphError, match=r"x: the input must be float32 \(2, 3\), not float32 \(3, 2\)"):
        execute(graph, torch.zeros(3, 2))
    with pytest.raises(GraphError, match=r"x: the input must be float32 \(2, 3\), not int64 \(2, 3\)"):
        execute_all(graph, torch.zeros(2, 3, dtype=torch.int64))


def test_results_are_checked() -> None:
    """A host function whose result is not what it said is found where it is."""
    host = Host(operation="f", reason="", operands=((2, 3),), result=X, function=lambda x: x.sum(0))
    node = Node(name="f", operator=host, operands=("x",), type=X)
    graph = Graph(inputs={"x": X}, constants={}, nodes=(node,), outputs={"y": "f"})
    with pytest.raises(GraphError, match=r"f: the result must be float32 \(2, 3\), not float32 \(3,\)"):
        execute(graph, torch.zeros(2, 3))


def test_builder_computes_constants() -> None:
    b = GraphBuilder()
    x = b.input("x", (2, 3), torch.float32)
    b.scope = "block"
    two = b.apply(Add(), b.constant(torch.ones(3)), b.constant(torch.ones(())))
    assert two.constant is not None
    assert torch.equal(two.constant, torch.full((3,), 2.0))
    b.constant(torch.zeros(7), "unused")
    graph = b.build({"y": b.apply(Multiply(), x, two)})
    assert list(graph.constants) == [two.name]
    assert [node.name for node in graph.nodes] == ["block.multiply"]
    assert [node.scope for node in graph.nodes] == ["block"]


def test_builder_makes_names_unique() -> None:
    b = GraphBuilder()
    x = b.input("add", (2,), torch.float32)
    first = b.apply(Add(), x, x)
    graph = b.build({"y": b.apply(Concat(axis=0), b.apply(Add(), first, x), x)})
    assert [node.name for node in graph.nodes] == ["add_2", "add_3", "concat"]
    with pytest.raises(GraphError, match="z: dtype must be one of .*, not float64"):
        b.input("z", (2,), torch.float64)
