"""Graphs of PyTorch modules: what stays on the host, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from graphs import (
    ROW,
    Applied,
    checked_graph,
    kinds,
    values,
)
from torch import Tensor, nn
from torch.nn import functional

from ssvq.network import GraphError, execute, graph_of
from ssvq.network import operators as ops
from ssvq.network.front.aten import TABLE

HOSTS: dict[str, tuple[Callable[..., Any], str, str]] = {
    "topk": (lambda x: x.topk(2), "aten.topk.default", "it is not in the operator set"),
    "bilinear": (
        lambda x: functional.interpolate(x[None, None], scale_factor=2, mode="bilinear"),
        "aten.upsample_bilinear2d.vec",
        "it is not in the operator set",
    ),
    "flip": (lambda x: x.flip(1), "aten.flip.default", "it is not in the operator set"),
    "comparison": (lambda x: x > 0.5, "aten.gt.Scalar", "it is not in the operator set"),
    "conversion": (lambda x: (x * 3).to(torch.int64), "aten.to.dtype", "it converts float32 to int64"),
    "places": (
        lambda x: x[:, torch.tensor([5, 4, 3, 2, 1, 0] * 2)],
        "aten.index.Tensor",
        "places must be in 1 to 8 evenly spaced runs, not 11",
    ),
    "maximum of tokens": (
        lambda x: x.amax(1),
        "aten.amax.default",
        r"a maximum must be over the last two axes of four, not over \(1,\) of \(3, 6\)",
    ),
    "rounded quotient": (
        lambda x: x.div(2, rounding_mode="floor"),
        "aten.div.Tensor_mode",
        "a quotient must not be rounded, as floor does",
    ),
    "reflection": (
        lambda x: functional.pad(x, (1, 1), mode="reflect"),
        "aten.pad.default",
        "padding must be constant, not reflect",
    ),
    "beta of softplus": (
        lambda x: functional.softplus(x, 2),
        "aten.softplus.default",
        "beta and threshold of softplus must be 1 and 20, not 2.* and 20",
    ),
    "dilated pooling": (
        lambda x: functional.max_pool2d(x[None], 2, dilation=2),
        "aten.max_pool2d.default",
        r"dilation of pooling must be 1, not \(2, 2\)",
    ),
    "pooling to an odd size": (
        lambda x: functional.adaptive_avg_pool2d(x[None, None], (2, 4)),
        "aten.adaptive_avg_pool2d.default",
        r"the image \(3, 6\) must be a multiple of the result \(2, 4\)",
    ),
    "computed norm": (
        lambda x: functional.layer_norm(x, (6,), x[0], x[1]),
        "aten.layer_norm.default",
        "operand 1 of LayerNorm must be a constant",
    ),
    "computed kernel": (
        lambda x: functional.conv2d(x[None, None], x[None, None, :2, :2]),
        "aten.conv2d.default",
        "weights of a convolution must be constants",
    ),
}


@pytest.mark.parametrize("name", HOSTS)
def test_hosts(name: str) -> None:
    function, operation, reason = HOSTS[name]
    model = Applied(function)
    graph = checked_graph(model, values(*ROW), strict=False)
    hosts = [node.operator for node in graph.nodes if isinstance(node.operator, ops.Host)]
    assert {host.operation.startswith(operation) for host in hosts} == {True}
    with pytest.raises(GraphError, match=f"{operation}.* must be in the operator set: {reason}"):
        graph_of(model, (values(*ROW),), strict=True)


def test_arithmetic_of_integers_is_the_hosts() -> None:
    graph = checked_graph(Applied(lambda ids: ids + 1), torch.tensor([1, 2]), strict=False)
    (node,) = graph.nodes
    assert isinstance(node.operator, ops.Host)
    assert node.operator.reason == "operands must be float32, not int64"
    assert node.name == "add"


def test_constants_of_hosts_are_no_operands() -> None:
    graph = checked_graph(Applied(HOSTS["places"][0]), values(*ROW), strict=False)
    assert [node.operands for node in graph.nodes] == [("inputs_0",)]
    assert not graph.constants


def test_what_is_random_is_no_constant() -> None:
    graph = graph_of(Applied(lambda x: x + torch.rand(6)), (values(*ROW),))
    (random, _) = (node.operator for node in graph.nodes)
    assert isinstance(random, ops.Host)
    assert random.reason == "it is random"
    x = values(*ROW)
    assert not torch.equal(execute(graph, x)[0], execute(graph, x)[0])
    dropped = graph_of(Applied(lambda x: functional.dropout(x, 0.5, training=True)), (x,))
    assert kinds(dropped) == ["Host"]


class Deciding(nn.Module):
    """What it computes depends on values."""

    def forward(self, x: Tensor) -> Tensor:
        return branching(x)


def test_what_cannot_be_exported_is_named_by_its_module() -> None:
    model = nn.Sequential(nn.Linear(6, 6), nn.Sequential(nn.ReLU(), Deciding()))
    with pytest.raises(
        GraphError, match=r"^1\.1: torch.export must accept .*\(docs/networks.md lists the operators\)$"
    ):
        graph_of(model, (values(*ROW),))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_recurrence_is_named_by_its_module_and_is_not_random(kind: type[nn.Module]) -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.memory = kind(6, 4)

        def forward(self, x: Tensor) -> Any:
            return self.memory(x[None])[0]

    with pytest.raises(GraphError, match=r"^memory: .*: a recurrence is not in the operator set, which docs/networks"):
        graph_of(Recurrent(), (values(*ROW),), strict=True)


def test_the_model_stays_as_it_is() -> None:
    model = nn.Sequential(nn.Linear(6, 3), nn.Dropout(0.5)).train()
    model[1].eval()
    graph = graph_of(model, (values(*ROW),))
    assert [model.training, model[0].training, model[1].training] == [True, True, False]
    before = execute(graph, values(*ROW))[0]
    with torch.no_grad():
        model[0].weight.zero_()
    assert torch.equal(execute(graph, values(*ROW))[0], before)


class Counting(nn.Module):
    """Changes a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        return x + self.count


def branching(x: Tensor) -> Tensor:
    return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("model", "inputs", "message"),
    [
        (Applied(branching), (values(*ROW),), "^Applied: torch.export must accept the model; it says: "),
        (Applied(lambda x: x.nonzero() + 1), (values(*ROW),), r"shapes must be fixed, but \(.*\) changes at run time"),
        (Applied(lambda x: x[x > 0]), (values(*ROW),), "shapes must be fixed"),
        (Applied(lambda x: x[:, x[0] > 1]), (values(*ROW),), r"index: shapes must be fixed, but \(3, u0\) changes"),
        (nn.Linear(6, 2).double(), (values(*ROW).double(),), "^weight: dtype must be one of float32, .*, not float64"),
        (nn.Linear(6, 2).half(), (values(*ROW).half(),), "^weight: dtype must be one of float32, .*, not float16"),
        (
            Applied(lambda x: x * 2),
            (values(*ROW).double(),),
            "^inputs_0: dtype must be one of float32, .*, not float64",
        ),
        (Applied(lambda x: x.double().sin()), (values(*ROW),), "aten.to.dtype: dtype must be .*, not float64"),
        (Counting(), (values(*ROW),), "^count: a model must not change it: buffer_mutation"),
        (Applied(lambda x: x.add_(1)), (values(*ROW),), "a model must not change it: user_input_mutation"),
        (nn.Linear(6, 2), values(*ROW), "example_inputs: inputs must be a tuple of tensors, not Tensor"),
        (nn.Linear(6, 2), (3,), r"example_inputs\[0\]: an input must be a tensor, not int"),
        (nn.Linear(6, 2, device="meta"), (values(*ROW),), "^weight: weights must be on the CPU, not on meta"),
        (Applied(lambda x: (x, 3)), (values(*ROW),), "output: outputs must be tensors, not int"),
    ],
)
def test_refuses(model: nn.Module, inputs: tuple[Any, ...], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        graph_of(model, inputs)


def test_refuses_weights_that_are_not_finite() -> None:
    model = nn.Sequential(nn.Linear(6, 2))
    with torch.no_grad():
        model[0].weight[0, :2] = torch.tensor([torch.nan, torch.inf])
    with pytest.raises(GraphError, match=r"^0\.weight: weights must be finite, 2 of 12 are not"):
        graph_of(model, (values(*ROW),))


def test_arguments_that_a_handler_does_not_know_make_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """An overload of a later PyTorch does not go wrong, it goes to the host."""
    monkeypatch.setitem(TABLE, "relu", lambda b, *, x, slope: x)
    (node,) = checked_graph(nn.ReLU(), values(*ROW), strict=False).nodes
    assert isinstance(node.operator, ops.Host)
    assert node.operator.reason == "its arguments are not known: missing a required argument: 'slope'"


def test_a_strict_error_names_the_module() -> None:
    model = nn.Sequential(nn.Linear(6, 6), nn.Sequential(nn.Softplus(beta=2)))
    with pytest.raises(GraphError, match=r"^1\.0: aten.softplus.default must be in the operator set"):
        graph_of(model, (values(*ROW),), strict=True)
