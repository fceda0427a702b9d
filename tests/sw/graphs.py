"""Checks of float graphs that several test files share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ssvq.network import Graph, execute, graph_of

IMAGE, TOKENS, ROW = (2, 4, 6, 5), (2, 5, 6), (3, 6)
"""Shapes of inputs."""


def checked_graph(model: nn.Module, *inputs: Tensor, atol: float = 1e-5, strict: bool = True) -> Graph:
    """The model's graph, having checked that its outputs are the model's within `atol` for values of about 1."""
    graph = graph_of(model, inputs, strict=strict)
    require_same(graph, model, *inputs, atol=atol)
    return graph


def require_same(graph: Graph, model: nn.Module, *inputs: Tensor, atol: float = 1e-5) -> None:
    model.eval()
    with torch.no_grad():
        expected = tree_leaves(model(*inputs))
    found = execute(graph, *inputs)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=atol, rtol=1e-4, equal_nan=True)


def kinds(graph: Graph) -> list[str]:
    """Kinds of the operators in their order."""
    return [type(node.operator).__name__ for node in graph.nodes]


def layer_modules(graph: Graph) -> set[str]:
    """Names of the modules whose weights the graph has."""
    return {node.module for node in graph.nodes if node.module is not None}


class Applied(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs)


def values(*shape: int) -> Tensor:
    torch.manual_seed(len(shape))
    return torch.randn(shape)


def randomised(model: nn.Module) -> nn.Module:
    """With weights and statistics that no default has."""
    torch.manual_seed(3)
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():
            tensor.data.uniform_(0.2, 0.9)
    return model
