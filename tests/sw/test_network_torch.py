"""Graphs of PyTorch modules: every operation against PyTorch's own result, names, folding, hosts and errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from graphs import checked_graph, kinds, layer_modules, require_same
from torch import Tensor, nn
from torch.nn import functional

from ssvq.network import GraphError, execute, graph_of
from ssvq.network import operators as ops
from ssvq.network.aten import TABLE


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


IMAGE, TOKENS, ROW = (2, 4, 6, 5), (2, 5, 6), (3, 6)
MATRIX, VECTOR = torch.linspace(-1, 1, 12).reshape(6, 2), torch.linspace(0.5, 2, 6)

NORM = ["Elementwise", "Mean", "Multiply", "Elementwise", "Clamp", "Elementwise", "Multiply"]
"""x by the root of the sum of its squares, which is at least a small number."""

OPERATIONS: dict[str, tuple[Callable[..., Any], tuple[int, ...], list[str]]] = {
    "relu": (lambda x: x.relu(), ROW, ["Clamp"]),
    "relu in place": (lambda x: (x + 1).relu_(), ROW, ["Add", "Clamp"]),
    "relu6": (functional.relu6, ROW, ["Clamp"]),
    "hardtanh": (lambda x: functional.hardtanh(x, -0.5, 0.3), ROW, ["Clamp"]),
    "clamp": (lambda x: x.clamp(max=0.3), ROW, ["Clamp"]),
    "clamp_min": (lambda x: torch.clamp_min(x, 0.3), ROW, ["Clamp"]),
    "gelu": (functional.gelu, ROW, ["Elementwise"]),
    "gelu by tanh": (lambda x: functional.gelu(x, approximate="tanh"), ROW, ["Elementwise"]),
    "gelu written out": (lambda x: x * 0.5 * (1 + torch.erf(x / 2**0.5)), ROW, ["Elementwise"]),
    "silu": (functional.silu, ROW, ["Elementwise"]),
    "silu written out": (lambda x: x * x.sigmoid(), ROW, ["Elementwise"]),
    "hardswish": (functional.hardswish, ROW, ["Elementwise"]),
    "hardswish written out": (lambda x: x * functional.relu6(x + 3) / 6, ROW, ["Elementwise"]),
    "hardsigmoid": (functional.hardsigmoid, ROW, ["Elementwise"]),
    "mish": (functional.mish, ROW, ["Elementwise"]),
    "softplus": (functional.softplus, ROW, ["Elementwise"]),
    "leaky_relu": (lambda x: functional.leaky_relu(x, 0.3), ROW, ["Elementwise"]),
    "elu": (lambda x: functional.elu(x, 0.7), ROW, ["Elementwise"]),
    "selu": (functional.selu, ROW, ["Elementwise", "Multiply"]),
    "pow": (lambda x: x.abs() ** 1.5, ROW, ["Elementwise", "Elementwise"]),
    "square": (lambda x: x.square(), ROW, ["Elementwise"]),
    "sqrt": (lambda x: x.abs().sqrt(), ROW, ["Elementwise", "Elementwise"]),
    "neg": (lambda x: -x, ROW, ["Multiply"]),
    "add": (lambda x: torch.add(x, VECTOR, alpha=2), ROW, ["Add"]),
    "add of itself": (lambda x: x + x, ROW, ["Add"]),
    "sub": (lambda x: x - x.exp(), ROW, ["Elementwise", "Multiply", "Add"]),
    "rsub": (lambda x: 3 - x, ROW, ["Multiply", "Add"]),
    "mul": (lambda x: x * VECTOR, ROW, ["Multiply"]),
    "mul by integers": (lambda x: x * torch.arange(6), ROW, ["Multiply"]),
    "div by a constant": (lambda x: x / VECTOR, ROW, ["Multiply"]),
    "div": (lambda x: x / (x.abs() + 1), ROW, ["Elementwise", "Add", "Elementwise", "Multiply"]),
    "rdiv": (lambda x: 2 / (x.abs() + 1), ROW, ["Elementwise", "Add", "Elementwise", "Multiply"]),
    "lerp": (lambda x: torch.lerp(x, x * x, 0.3), ROW, ["Multiply", "Multiply", "Add", "Multiply", "Add"]),
    "softmax": (lambda x: x.softmax(1), TOKENS, ["Softmax"]),
    "log_softmax": (lambda x: x.log_softmax(-1), TOKENS, ["Softmax", "Elementwise"]),
    "mean": (lambda x: x.mean(1), TOKENS, ["Mean", "Reshape"]),
    "mean of all": (lambda x: x.mean(), ROW, ["Mean", "Reshape"]),
    "mean of images": (lambda x: x.mean((-1, -2)), IMAGE, ["AveragePool", "Reshape"]),
    "sum": (lambda x: x.sum(-1, keepdim=True), TOKENS, ["Mean", "Multiply"]),
    "var": (lambda x: x.var(-1), TOKENS, ["Mean", "Multiply", "Add", "Elementwise", "Mean", "Reshape", "Multiply"]),
    "where": (lambda x: torch.where(VECTOR > 1, x, 2.0), ROW, ["Where"]),
    "masked_fill": (lambda x: x.masked_fill(VECTOR > 1, 2.0), ROW, ["Where"]),
    "masked softmax": (lambda x: x.masked_fill(VECTOR > 1, -torch.inf).softmax(1), ROW, ["Softmax"]),
    "softmax with an added mask": (
        lambda x: (x + torch.zeros(6).masked_fill(VECTOR > 1, -1e9)).softmax(1),
        ROW,
        ["Softmax"],
    ),
    "softmax with an added bias": (lambda x: (x - VECTOR.round()).softmax(1), ROW, ["Add", "Softmax"]),
    "a mask that makes more rows": (
        lambda x: (x + torch.zeros(6, 6).masked_fill(MATRIX @ MATRIX.T > 0, -torch.inf)[:, None]).softmax(2),
        ROW,
        ["Add", "Softmax"],
    ),
    "linear": (lambda x: functional.linear(x, MATRIX.T), TOKENS, ["Linear"]),
    "matmul by a constant": (lambda x: x @ MATRIX, TOKENS, ["Linear"]),
    "matmul": (lambda x: x @ x.transpose(1, 2), TOKENS, ["Transpose", "MatMul"]),
    "linear with a computed weight": (lambda x: functional.linear(x, x), ROW, ["Transpose", "MatMul"]),
    "addmm": (lambda x: torch.addmm(MATRIX[0], x, MATRIX, beta=2, alpha=3), ROW, ["Linear", "Multiply", "Add"]),
    "addmm with a bias": (lambda x: torch.addmm(MATRIX[0], x, MATRIX), ROW, ["Linear"]),
    "bmm": (lambda x: torch.bmm(x, x.mT), TOKENS, ["Transpose", "MatMul"]),
    "scaled operands": (lambda x: (x * 0.5) @ (x.transpose(1, 2) * 0.25), TOKENS, ["Transpose", "MatMul", "Multiply"]),
    "reshape": (lambda x: x.reshape(5, -1), TOKENS, ["Reshape"]),
    "flatten": (lambda x: x.flatten(1), IMAGE, ["Reshape"]),
    "unflatten": (lambda x: x.unflatten(-1, (2, -1)), ROW, ["Reshape"]),
    "unsqueeze, squeeze": (lambda x: x[None, :, None].squeeze(2), ROW, ["Reshape"]),
    "permute": (lambda x: x.permute(0, 2, 3, 1), IMAGE, ["Transpose"]),
    "permute there and back": (lambda x: x.permute(0, 2, 3, 1).permute(0, 3, 1, 2) + 1, IMAGE, ["Add"]),
    "transpose of length 1": (lambda x: x[:, None].transpose(1, 2), ROW, ["Reshape"]),
    "t": (lambda x: x.t(), ROW, ["Transpose"]),
    "select": (lambda x: x[:, -1], TOKENS, ["Slice", "Reshape"]),
    "slice": (lambda x: x[1:, ::2], TOKENS, ["Slice", "Slice"]),
    "slice of all": (lambda x: x[:, :] * 2, ROW, ["Multiply"]),
    "narrow": (lambda x: x.narrow(1, 1, 3), TOKENS, ["Slice"]),
    "index": (lambda x: x[:, torch.tensor([4, 0, 2])], TOKENS, ["Slice", "Slice", "Concat"]),
    "index_select": (lambda x: x.index_select(1, torch.tensor([0, 2, 4])), TOKENS, ["Slice"]),
    "roll": (lambda x: x.roll((1, -2), (1, 2)), TOKENS, ["Slice", "Slice", "Concat", "Slice", "Slice", "Concat"]),
    "split": (lambda x: x.split((1, 3, 1), 1), TOKENS, ["Slice", "Slice", "Slice"]),
    "chunk": (lambda x: x.chunk(2, 1), TOKENS, ["Slice", "Slice"]),
    "unbind": (lambda x: x.unbind(0)[1], TOKENS, ["Slice", "Reshape"]),
    "cat": (lambda x: torch.cat((x, VECTOR[None], x), 0), ROW, ["Concat"]),
    "stack": (lambda x: torch.stack((x, x * 2), -1), ROW, ["Multiply", "Reshape", "Reshape", "Concat"]),
    "expand": (lambda x: x[:, None].expand(-1, 4, -1), ROW, ["Reshape", "Expand"]),
    "expand that broadcasting does": (lambda x: x[:1].expand(3, -1) + x, ROW, ["Slice", "Add"]),
    "expand that broadcasting does not do": (
        lambda x: x[:, None].expand(-1, 4, -1) + VECTOR,
        ROW,
        ["Reshape", "Expand", "Add"],
    ),
    "new axes after a transposition": (
        lambda x: x.permute(0, 2, 1)[:, None, ..., None] * 2,
        TOKENS,
        ["Reshape", "Transpose", "Multiply"],
    ),
    "reshape_as": (lambda x: (x + 1).reshape_as(MATRIX[:, :1].expand(6, 3)), ROW, ["Add", "Reshape"]),
    "norm": (lambda x: functional.normalize(x, dim=1), ROW, NORM),
    "repeat": (lambda x: x.repeat(2, 1, 3), ROW, ["Reshape", "Expand", "Reshape"]),
    "repeat_interleave": (lambda x: x.repeat_interleave(2, 1), ROW, ["Reshape", "Expand", "Reshape"]),
    "pad": (lambda x: functional.pad(x, (1, 2, -1, 1), value=3), ROW, ["Slice", "Pad"]),
    "einsum": (lambda x: torch.einsum("btc,bsc->bts", x, x), TOKENS, ["Transpose", "MatMul"]),
    "pixel_shuffle": (lambda x: functional.pixel_shuffle(x, 2), IMAGE, ["Reshape", "Transpose", "Reshape"]),
    "pixel_unshuffle": (
        lambda x: functional.pixel_unshuffle(x[..., :4], 2),
        IMAGE,
        ["Slice", "Reshape", "Transpose", "Reshape"],
    ),
    "max_pool2d": (lambda x: functional.max_pool2d(x, 3, 2, 1), IMAGE, ["MaxPool"]),
    "max_pool2d with ceil_mode": (lambda x: functional.max_pool2d(x, 3, 2, ceil_mode=True), IMAGE, ["MaxPool"]),
    "avg_pool2d": (lambda x: functional.avg_pool2d(x, (3, 2), 2, (1, 0)), IMAGE, ["AveragePool"]),
    "avg_pool2d without padding": (
        lambda x: functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
        IMAGE,
        ["AveragePool"],
    ),
    "adaptive_avg_pool2d": (lambda x: functional.adaptive_avg_pool2d(x, (3, 1)), IMAGE, ["AveragePool"]),
    "global maximum": (lambda x: x.amax((2, 3)), IMAGE, ["MaxPool", "Reshape"]),
    "nearest": (lambda x: functional.interpolate(x, scale_factor=2), IMAGE, ["Reshape", "Expand", "Reshape"]),
    "rms norm": (
        lambda x: functional.rms_norm(x, (6,), VECTOR, 1e-6),
        TOKENS,
        ["Elementwise", "Mean", "Add", "Elementwise", "Multiply", "Multiply"],
    ),
    "layer norm written out": (
        lambda x: (
            (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0) + 1e-5).sqrt() * VECTOR + VECTOR
        ),
        TOKENS,
        ["LayerNorm"],
    ),
    "dropout in evaluation": (lambda x: functional.dropout(x, 0.5, training=False) * 2, ROW, ["Multiply"]),
    "conversion to the same dtype": (lambda x: x.to(torch.float32) * 2, ROW, ["Multiply"]),
    "constants of a shape": (
        lambda x: torch.ones_like(x).cumsum(1) * x + x.new_full((6,), 2),
        ROW,
        ["Multiply", "Add"],
    ),
    "the same twice": (lambda x: (x * 2).exp() + (x * 2).exp(), ROW, ["Multiply", "Elementwise", "Add"]),
    "constants are computed": (lambda x: x + torch.arange(6).flip(0).cumsum(0) % 3, ROW, ["Add"]),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations(name: str) -> None:
    function, shape, expected = OPERATIONS[name]
    assert kinds(checked_graph(Applied(function), values(*shape))) == expected


def centred(x: Tensor, axis: int = -1) -> Tensor:
    return x - x.mean(axis, keepdim=True)


def halfway(x: Tensor) -> Tensor:
    return x + x.mean(-1, keepdim=True) * -0.5


def deviation(x: Tensor, axis: int = -1) -> Tensor:
    return (x.square().mean(axis, keepdim=True) + 1e-3).sqrt()


NEAR_MISSES: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu without scale": lambda x: x * 0.5 * (1 + torch.erf(x)),
    "gelu with another scale": lambda x: x * 0.5 * (1 + torch.erf(x * 0.9)),
    "gelu with another factor": lambda x: x * 0.7 * (1 + torch.erf(x / 2**0.5)),
    "gelu with another sum": lambda x: x * 0.5 * (2 + torch.erf(x / 2**0.5)),
    "gelu of two values": lambda x: (x + 1) * 0.5 * (1 + torch.erf(x / 2**0.5)),
    "gelu by tanh of a square": lambda x: x * 0.5 * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x * x))),
    "gelu by tanh with another number": lambda x: x * 0.5 * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.05 * x**3))),
    "gelu by tanh with another scale": lambda x: x * 0.5 * (1 + torch.tanh(0.7 * (x + 0.044715 * x**3))),
    "silu of two values": lambda x: x * (2 * x).sigmoid(),
    "hardswish with another sum": lambda x: x * functional.relu6(x + 2) / 6,
    "hardswish with another factor": lambda x: x * functional.relu6(x + 3) / 5,
    "hardswish with another bound": lambda x: x * functional.hardtanh(x + 3, 0, 5) / 6,
    "hardsigmoid with another sum": lambda x: functional.relu6(x + 2) / 6,
    "layer norm of another axis": lambda x: centred(x, 0) / deviation(centred(x, 0), 0) * VECTOR + VECTOR,
    "layer norm around another mean": lambda x: centred(x) / deviation(x) * VECTOR + VECTOR,
    "layer norm of what is not centred": lambda x: x / deviation(centred(x)) * VECTOR + VECTOR,
    "layer norm around half of the mean": lambda x: halfway(x) / deviation(halfway(x)) * VECTOR + VECTOR,
    "softmax of scores that are set to a number": lambda x: torch.where(VECTOR > 1, x, 1.0).softmax(1),
    "softmax of scores that are set to some numbers": lambda x: torch.where(VECTOR > 1, -torch.inf, VECTOR).softmax(0),
    "means of two other axes": lambda x: x[None, None].mean((1, 3)),
    "equal constants of two shapes": lambda x: torch.cat((x * torch.ones(6), (x[:1] * torch.ones(2, 6)))),
    "a bias for a layer that has one": lambda x: functional.linear(x, MATRIX.T, MATRIX[1]) + MATRIX[0],
    "a bias that only one of two takes": lambda x: torch.cat((x @ MATRIX, x @ MATRIX + MATRIX[0])),
    "a bias for each row": lambda x: x @ MATRIX + VECTOR[:3, None],
}
"""What is almost a pattern, and has to be computed as it is."""


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_near_misses(name: str) -> None:
    checked_graph(Applied(NEAR_MISSES[name]), values(*ROW))


MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], list[str]]] = {
    "Linear": (lambda: nn.Linear(6, 3), TOKENS, ["Linear"]),
    "Linear without bias": (lambda: nn.Linear(6, 3, bias=False), TOKENS, ["Linear"]),
    "Conv2d": (lambda: nn.Conv2d(4, 3, (3, 2), (2, 1), (1, 2), (1, 2)), IMAGE, ["Conv2d"]),
    "depthwise": (lambda: nn.Conv2d(4, 8, 3, groups=4, bias=False), IMAGE, ["Conv2d"]),
    "groups": (lambda: nn.Conv2d(4, 6, 3, groups=2), IMAGE, ["Conv2d"]),
    "same padding": (lambda: nn.Conv2d(4, 6, (3, 4), padding="same"), IMAGE, ["Conv2d"]),
    "valid padding": (lambda: nn.Conv2d(4, 6, 3, padding="valid"), IMAGE, ["Conv2d"]),
    "Conv1d": (lambda: nn.Conv1d(5, 3, 3, stride=2, padding=1), TOKENS, ["Reshape", "Conv2d", "Reshape"]),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, 2, dilation=(1, 2)), IMAGE, ["ConvTranspose2d"]),
    "ZeroPad2d, Conv2d": (lambda: nn.Sequential(nn.ZeroPad2d((1, 2, 0, 3)), nn.Conv2d(4, 3, 3)), IMAGE, ["Conv2d"]),
    "ConstantPad2d, Conv2d": (
        lambda: nn.Sequential(nn.ConstantPad2d(1, 2.0), nn.Conv2d(4, 3, 3)),
        IMAGE,
        ["Pad", "Conv2d"],
    ),
    "Conv2d, BatchNorm2d": (lambda: nn.Sequential(nn.Conv2d(4, 6, 3, groups=2), nn.BatchNorm2d(6)), IMAGE, ["Conv2d"]),
    "Conv2d without bias, BatchNorm2d": (
        lambda: nn.Sequential(nn.Conv2d(4, 3, 3, bias=False), nn.BatchNorm2d(3, affine=False)),
        IMAGE,
        ["Conv2d"],
    ),
    "ConvTranspose2d, BatchNorm2d": (
        lambda: nn.Sequential(nn.ConvTranspose2d(4, 6, 3, groups=2), nn.BatchNorm2d(6)),
        IMAGE,
        ["ConvTranspose2d"],
    ),
    "Linear, BatchNorm1d": (lambda: nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3)), ROW, ["Linear"]),
    "Linear, BatchNorm1d of all tokens": (
        lambda: nn.Sequential(nn.Linear(6, 3), nn.Flatten(0, 1), nn.BatchNorm1d(3)),
        TOKENS,
        ["Linear", "Reshape"],
    ),
    "Linear, BatchNorm1d of other channels": (
        lambda: nn.Sequential(nn.Linear(6, 3), nn.Flatten(1), nn.BatchNorm1d(15)),
        TOKENS,
        ["Linear", "Reshape", "ScaleShift"],
    ),
    "BatchNorm1d of another axis": (
        lambda: nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5)),
        (2, 5, 6),
        ["Linear", "ScaleShift"],
    ),
    "BatchNorm2d, Conv2d": (
        lambda: nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 3, 3)),
        IMAGE,
        ["ScaleShift", "Conv2d"],
    ),
    "LayerNorm": (lambda: nn.LayerNorm(6), TOKENS, ["LayerNorm"]),
    "LayerNorm of two axes": (lambda: nn.LayerNorm((5, 6)), TOKENS, ["Reshape", "LayerNorm", "Reshape"]),
    "LayerNorm without weights": (lambda: nn.LayerNorm(6, elementwise_affine=False), TOKENS, ["LayerNorm"]),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), IMAGE, ["Reshape", "LayerNorm", "Reshape", "ScaleShift"]),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(4, affine=True), IMAGE, ["Reshape", "LayerNorm", "Reshape"]),
    "GLU": (lambda: nn.GLU(1), ROW, ["Slice", "Slice", "Elementwise", "Multiply"]),
    "Identity, Dropout": (lambda: nn.Sequential(nn.Identity(), nn.Dropout(0.5), nn.ReLU()), ROW, ["Clamp"]),
    "weight_norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(6, 3)), ROW, ["Linear"]),
}


@pytest.mark.parametrize("name", MODULES)
def test_modules(name: str) -> None:
    make, shape, expected = MODULES[name]
    found = kinds(checked_graph(randomised(make()), values(*shape)))
    assert found[: len(expected)] == expected
    assert len(found) == len(expected) or name == "InstanceNorm2d"


def test_batch_norm_stays_when_something_else_takes_its_input() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 3, 1)
            self.norm = nn.BatchNorm2d(3)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            y = self.conv(x)
            return self.norm(y), y

    assert kinds(checked_graph(randomised(Both()), values(*IMAGE))) == ["Conv2d", "ScaleShift"]


def test_a_product_that_something_else_takes_keeps_its_bias_apart() -> None:
    def both(x: Tensor) -> tuple[Tensor, Tensor]:
        product = x @ MATRIX
        return product, product + MATRIX[0]

    graph = checked_graph(Applied(both), values(*ROW))
    assert kinds(graph) == ["Linear", "Add"]


def test_folding_is_told() -> None:
    model = randomised(nn.Sequential(nn.Conv2d(4, 3, 1), nn.Identity(), nn.BatchNorm2d(3), nn.Linear(5, 2)))
    conv, linear = checked_graph(model, values(*IMAGE)).nodes
    assert (conv.name, conv.module, conv.folded) == ("0", "0", ("2",))
    assert (linear.name, linear.module, linear.folded) == ("3", "3", ())
    assert linear.operands == ("0", "3.weight", "3.bias")


@pytest.mark.parametrize("mask", ["none", "bool", "float", "causal"])
def test_attention(mask: str) -> None:
    torch.manual_seed(1)
    bool_mask = torch.rand(5, 5) > 0.3
    bool_mask[2] = False
    options: dict[str, dict[str, Any]] = {
        "none": {"scale": 0.7},
        "bool": {"attn_mask": bool_mask},
        "float": {"attn_mask": torch.randn(5, 5)},
        "causal": {"is_causal": True},
    }
    graph = checked_graph(
        Applied(lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, **options[mask])),
        *(torch.randn(2, 3, 5, 4) for _ in range(3)),
    )
    added = ["Add"] if mask == "float" else []
    assert kinds(graph) == ["Transpose", "MatMul", "Multiply", *added, "Softmax", "MatMul"]
    assert len(graph.nodes[-2].operands) == (2 if mask in ("bool", "causal") else 1)


def test_attention_with_shared_keys() -> None:
    torch.manual_seed(1)
    graph = checked_graph(
        Applied(lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, enable_gqa=True)),
        *(torch.randn(2, heads, 5, 4) for heads in (6, 2, 2)),
    )
    assert "Expand" in kinds(graph)


def test_mask_from_an_input() -> None:
    keep = torch.tensor([[True, True, False], [True, False, False]])
    for function in (
        lambda x, keep: x.masked_fill(~keep, -torch.inf).softmax(1),
        lambda x, keep: torch.where(keep, x, torch.finfo(torch.float32).min).softmax(1),
    ):
        graph = checked_graph(Applied(function), values(2, 3), keep)
        assert kinds(graph) == ["Softmax"]
        assert graph.nodes[0].operands == ("inputs_0", "inputs_1")
    drop = graph_of(Applied(lambda x, drop: x.masked_fill(drop, -1e9).softmax(1)), (values(2, 3), ~keep))
    assert kinds(drop) == ["Host", "Softmax"]
    assert isinstance(drop.nodes[0].operator, ops.Host)
    assert drop.nodes[0].operator.reason == "masks are made on the host"
    require_same(drop, Applied(lambda x, drop: x.masked_fill(drop, -1e9).softmax(1)), values(2, 3), ~keep)


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
        (Applied(lambda x: x[:, VECTOR > 1]), (values(*ROW),), r"index: shapes must be fixed, but \(3, u0\) changes"),
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
