"""Graphs of PyTorch modules: what nodes, layers and outputs are called, and in which order movement is."""

from __future__ import annotations

from typing import Any

import torch
from graphs import (
    ROW,
    TOKENS,
    checked_graph,
    kinds,
    layer_modules,
    values,
)
from torch import Tensor, nn

from ssvq.network import operators as ops


class Encoder(nn.Module):
    """One layer with names in all depths, of PyTorch's own modules."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(7, 8)
        self.layers = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu"), 1, enable_nested_tensor=False
        )
        self.shared = nn.Linear(8, 8, bias=False)
        self.head = nn.Linear(8, 7, bias=False)
        self.head.weight = self.words.weight

    def forward(self, ids: Tensor) -> dict[str, Tensor]:
        x = self.layers(self.words(ids))
        x = self.shared(self.shared(x).tanh())
        return {"logits": self.head(x), "state": x[:, 0]}


def test_names() -> None:
    torch.manual_seed(1)
    graph = checked_graph(Encoder(), torch.tensor([[1, 2, 3], [4, 5, 6]]))
    names = [node.name for node in graph.nodes]
    layer = "layers.layers.0"
    assert names[0] == "words"
    assert names[1:4] == [f"{layer}.self_attn.{name}" for name in ("transpose", "linear", "slice")]
    assert [name for name in names if name.startswith("shared")] == ["shared", "shared_2"]
    assert {f"{layer}.norm1", f"{layer}.linear1", f"{layer}.self_attn.softmax", f"{layer}.gelu", "tanh"} <= set(names)
    assert graph.outputs == {"output_0": "head", "output_1": "reshape"}
    assert list(graph.inputs) == ["ids"]
    # the packed projections of queries, keys and values are no Linear module, and the tied weight is an embedding's
    layers = {f"{layer}.{name}" for name in ("self_attn.out_proj", "linear1", "linear2")}
    assert layer_modules(graph) == {*layers, "shared", "head"}
    packed = graph.by_name[f"{layer}.self_attn.linear"]
    assert packed.operands[1:] == (f"{layer}.self_attn.in_proj_weight", f"{layer}.self_attn.in_proj_bias")


def test_a_model_that_is_a_layer_has_the_containers_name() -> None:
    assert [(node.name, node.module) for node in checked_graph(nn.Linear(6, 2), values(*ROW)).nodes] == [
        ("root", "root")
    ]


def test_a_weight_that_is_computed_belongs_to_its_module() -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(6, 2)))
    (node,) = checked_graph(model, values(*ROW)).nodes
    assert (node.name, node.module) == ("0", "0")


def test_slices_go_first() -> None:
    """The three parts of packed projections are runs of channels."""

    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv = nn.Linear(6, 18)

        def forward(self, x: Tensor) -> Any:
            return self.qkv(x).reshape(2, 5, 3, 2, 3).permute(2, 0, 3, 1, 4).unbind(0)

    graph = checked_graph(Packed(), values(*TOKENS))
    assert kinds(graph) == ["Linear", *["Slice", "Reshape", "Transpose"] * 3]
    slices = [node.operator for node in graph.nodes if isinstance(node.operator, ops.Slice)]
    assert [(part.axis, part.start, part.stop) for part in slices] == [(2, 0, 6), (2, 6, 12), (2, 12, 18)]
