"""Graphs of PyTorch modules: every operation against PyTorch's own result, layers that are folded, attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from graphs import (
    IMAGE,
    ROW,
    TOKENS,
    Applied,
    checked_graph,
    kinds,
    randomised,
    require_same,
    values,
)
from torch import Tensor, nn
from torch.nn import functional

from ssvq.network import graph_of
from ssvq.network import operators as ops

MATRIX, VECTOR = torch.linspace(-1, 1, 12).reshape(6, 2), torch.linspace(0.5, 2, 6)
TALL = torch.linspace(0.5, 2, 5)[:, None]

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
    "softmax with a mask that leaves nothing out": (
        lambda x: x.masked_fill(VECTOR > 1e9, -torch.inf).softmax(1),
        ROW,
        ["Softmax"],
    ),
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
    "linear with a factor for each channel": (
        lambda x: functional.linear(x, MATRIX @ MATRIX.T) * VECTOR,
        TOKENS,
        ["Linear"],
    ),
    "linear with factors for tokens": (lambda x: functional.linear(x, MATRIX.T) * TALL, TOKENS, ["Linear", "Multiply"]),
    "matmul by a constant": (lambda x: x @ MATRIX, TOKENS, ["Linear"]),
    "matmul": (lambda x: x @ x.transpose(1, 2), TOKENS, ["Transpose", "MatMul"]),
    "linear with a computed weight": (lambda x: functional.linear(x, x), ROW, ["Transpose", "MatMul"]),
    "addmm": (lambda x: torch.addmm(MATRIX[0], x, MATRIX, beta=2, alpha=3), ROW, ["Linear", "Multiply", "Add"]),
    "addmm with a bias": (lambda x: torch.addmm(MATRIX[0], x, MATRIX), ROW, ["Linear"]),
    "bmm": (lambda x: torch.bmm(x, x.mT), TOKENS, ["Transpose", "MatMul"]),
    "scaled operands": (lambda x: (x * 0.5) @ (x.transpose(1, 2) * 0.25), TOKENS, ["Transpose", "MatMul", "Multiply"]),
    "a sum that begins with 0": (lambda x: sum((x @ MATRIX, x @ MATRIX)), TOKENS, ["Linear", "Linear", "Add"]),
    "a number added to a product": (lambda x: x @ MATRIX + 2, TOKENS, ["Linear", "Add"]),
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
    assert kinds(drop) == ["Not", "Softmax"]
    assert drop.nodes[1].operands == ("inputs_0", drop.nodes[0].name)
    require_same(drop, Applied(lambda x, drop: x.masked_fill(drop, -1e9).softmax(1)), values(2, 3), ~keep)


def test_a_mask_that_leaves_nothing_out_goes() -> None:
    for function in (
        lambda x: x.masked_fill(VECTOR > 1e9, -torch.inf).softmax(1),
        lambda x: (x + torch.zeros(6)).softmax(1),
        lambda x: functional.scaled_dot_product_attention(x, x, x, attn_mask=torch.ones(5, 5, dtype=torch.bool)),
    ):
        x = values(*TOKENS)
        (node,) = (n for n in graph_of(Applied(function), (x,)).nodes if isinstance(n.operator, ops.Softmax))
        assert len(node.operands) == 1
