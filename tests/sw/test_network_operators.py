"""The operator set: results' types, and every rule that operands or attributes can break."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ssvq.network import TensorType
from ssvq.network import operators as ops
from ssvq.network.errors import OperatorError
from ssvq.network.float_operators import FUNCTIONS, evaluate

F, I64, BOOL = torch.float32, torch.int64, torch.bool


def tensor(shape: tuple[int, ...], dtype: torch.dtype = F) -> Tensor:
    torch.manual_seed(sum(shape))
    if dtype == I64:
        return torch.randint(0, 4, shape)
    values = torch.randn(shape)
    return values > 0 if dtype == BOOL else values


HOST = ops.Host(
    operation="aten.sort.default",
    reason="it is not in the operator set",
    operands=((3,),),
    result=TensorType((3,)),
    function=lambda x: x.sort().values,
)

RESULTS: list[tuple[ops.Operator, list[tuple[int, ...]], tuple[int, ...]]] = [
    (ops.Linear(), [(2, 5, 3), (4, 3)], (2, 5, 4)),
    (ops.Linear(), [(3,), (4, 3), (4,)], (4,)),
    (ops.Conv2d(), [(2, 3, 5, 6), (4, 3, 1, 1)], (2, 4, 5, 6)),
    (ops.Conv2d(stride=(2, 1), padding=(1, 0, 2, 3)), [(2, 3, 5, 6), (4, 3, 3, 2), (4,)], (2, 4, 3, 8)),
    (ops.Conv2d(dilation=(2, 1), groups=3), [(1, 6, 5, 6), (9, 2, 3, 3)], (1, 9, 1, 4)),
    (ops.ConvTranspose2d(), [(1, 3, 4, 5), (3, 2, 2, 3)], (1, 2, 5, 7)),
    (
        ops.ConvTranspose2d(stride=(2, 3), padding=(1, 0, 0, 2), output_padding=(1, 0), dilation=(1, 2), groups=2),
        [(1, 4, 3, 3), (4, 3, 3, 2), (6,)],
        (1, 6, 7, 7),
    ),
    (ops.MatMul(), [(2, 1, 5, 3), (4, 3, 6)], (2, 4, 5, 6)),
    (ops.Add(), [(2, 1, 3), (4, 1)], (2, 4, 3)),
    (ops.Multiply(), [(2, 3), ()], (2, 3)),
    (ops.ScaleShift(axis=1), [(2, 3, 4), (3,), (3,)], (2, 3, 4)),
    (ops.Clamp(low=0.0, high=6.0), [(2, 3)], (2, 3)),
    (ops.Elementwise(function=ops.Function.GELU), [(2, 3)], (2, 3)),
    (ops.Softmax(axis=1), [(2, 3)], (2, 3)),
    (ops.LayerNorm(epsilon=1e-6), [(2, 3), (3,), (3,)], (2, 3)),
    (ops.Mean(axes=(0, 2)), [(2, 3, 4)], (1, 3, 1)),
    (ops.AveragePool(kernel=(2, 3), stride=(1, 2), padding=(1, 0, 0, 2)), [(1, 2, 4, 5)], (1, 2, 4, 3)),
    (ops.AveragePool(kernel=(2, 2), stride=(2, 2)), [(1, 2, 4, 5)], (1, 2, 2, 2)),
    (ops.MaxPool(kernel=(3, 3), stride=(2, 2), padding=(1, 1, 1, 1)), [(1, 2, 4, 5)], (1, 2, 2, 3)),
    (ops.Reshape(shape=(3, 1, 2)), [(2, 3)], (3, 1, 2)),
    (ops.Transpose(permutation=(2, 0, 1)), [(2, 3, 4)], (4, 2, 3)),
    (ops.Slice(axis=1, start=1, stop=6, step=2), [(2, 7)], (2, 3)),
    (ops.Concat(axis=1), [(2, 3), (2, 1), (2, 4)], (2, 8)),
    (ops.Expand(shape=(2, 3, 4)), [(3, 1)], (2, 3, 4)),
    (ops.Pad(before=(0, 1), after=(2, 0)), [(2, 3)], (4, 4)),
    (HOST, [(3,)], (3,)),
]


@pytest.mark.parametrize(("operator", "shapes", "expected"), RESULTS)
def test_results(operator: ops.Operator, shapes: list[tuple[int, ...]], expected: tuple[int, ...]) -> None:
    operands = [tensor(shape) for shape in shapes]
    assert operator.output_type([TensorType.of(operand) for operand in operands]) == TensorType(expected)
    assert evaluate(operator, operands).shape == expected


def test_results_of_other_dtypes() -> None:
    condition, ids, weight = tensor((2, 1), BOOL), tensor((2, 3), I64), tensor((4, 5))
    x, y = tensor((2, 3)), tensor(())
    keep = tensor((1, 3), BOOL)
    cases: list[tuple[ops.Operator, list[Tensor], Tensor]] = [
        (ops.Embedding(), [ids, weight], weight[ids]),
        (ops.Where(), [condition, x, y], torch.where(condition, x, y)),
        (ops.Cast(dtype=BOOL), [torch.tensor([-0.5, 0.0, 2.0])], torch.tensor([True, False, True])),
        (ops.Cast(dtype=torch.float32), [torch.tensor([0, 3])], torch.tensor([0.0, 3.0])),
        (ops.Not(), [condition], torch.logical_not(condition)),
        (ops.Softmax(axis=1), [x, keep], x.masked_fill(~keep, -torch.inf).softmax(1)),
        (ops.Concat(axis=0), [ids, ids], torch.cat((ids, ids))),
        (ops.Slice(axis=0, start=0, stop=1), [condition], condition[:1]),
    ]
    for operator, operands, expected in cases:
        found = evaluate(operator, operands)
        torch.testing.assert_close(found, expected)
        assert operator.output_type([TensorType.of(operand) for operand in operands]) == TensorType.of(found)


def test_softmax_of_a_row_that_is_left_out_is_zero() -> None:
    keep = torch.tensor([[True, False, True], [False, False, False]])
    found = evaluate(ops.Softmax(axis=1), [torch.zeros(2, 3), keep])
    torch.testing.assert_close(found, torch.tensor([[0.5, 0.0, 0.5], [0.0, 0.0, 0.0]]))


def test_padding_is_where_it_is_said_to_be() -> None:
    """Top, left, bottom, right: one pixel, and kernels that show where it is."""
    pixel = torch.ones(1, 1, 1, 1)
    kernel = torch.arange(12.0).reshape(1, 1, 3, 4)
    found = evaluate(ops.Conv2d(padding=(0, 1, 2, 2)), [pixel, kernel])  # the pixel is at row 0, column 1
    assert found.flatten().tolist() == [1.0]
    full = evaluate(ops.ConvTranspose2d(padding=(1, 0, 0, 2)), [pixel, kernel])
    assert torch.equal(full[0, 0], kernel[0, 0, 1:, :2])
    mean = evaluate(
        ops.AveragePool(kernel=(1, 2), stride=(1, 2), padding=(0, 1, 0, 0)), [torch.full((1, 1, 1, 3), 4.0)]
    )
    assert mean.flatten().tolist() == [2.0, 4.0]
    uncounted = ops.AveragePool(kernel=(1, 2), stride=(1, 2), padding=(0, 1, 0, 0), count_padding=False)
    assert evaluate(uncounted, [torch.full((1, 1, 1, 3), 4.0)]).flatten().tolist() == [4.0, 4.0]
    largest = ops.MaxPool(kernel=(1, 2), stride=(1, 2), padding=(0, 1, 0, 0))
    assert evaluate(largest, [torch.full((1, 1, 1, 3), -4.0)]).flatten().tolist() == [-4.0, -4.0]
    assert evaluate(ops.Pad(before=(1,), after=(2,), value=7.0), [torch.zeros(1)]).tolist() == [7, 0, 7, 7]


def test_every_function_has_an_arithmetic() -> None:
    assert set(FUNCTIONS) == set(ops.Function)


REFERENCE: dict[ops.Function, tuple[float, Callable[[float], float]]] = {
    ops.Function.GELU: (0.0, lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2)))),
    ops.Function.GELU_TANH: (
        0.0,
        lambda x: x * 0.5 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    ),
    ops.Function.SIGMOID: (0.0, lambda x: 1 / (1 + math.exp(-x))),
    ops.Function.TANH: (0.0, math.tanh),
    ops.Function.SILU: (0.0, lambda x: x / (1 + math.exp(-x))),
    ops.Function.HARD_SWISH: (0.0, lambda x: x * min(max(x + 3, 0), 6) / 6),
    ops.Function.HARD_SIGMOID: (0.0, lambda x: min(max(x + 3, 0), 6) / 6),
    ops.Function.MISH: (0.0, lambda x: x * math.tanh(math.log1p(math.exp(x)))),
    ops.Function.SOFTPLUS: (0.0, lambda x: math.log1p(math.exp(x))),
    ops.Function.LEAKY_RELU: (0.2, lambda x: x if x > 0 else 0.2 * x),
    ops.Function.ELU: (0.7, lambda x: x if x > 0 else 0.7 * (math.exp(x) - 1)),
    ops.Function.POWER: (3.0, lambda x: x**3),
    ops.Function.EXP: (0.0, math.exp),
    ops.Function.LOG: (0.0, lambda x: math.log(x) if x > 0 else math.nan),
    ops.Function.SQRT: (0.0, lambda x: math.sqrt(x) if x > 0 else math.nan),
    ops.Function.RECIPROCAL_SQRT: (0.0, lambda x: 1 / math.sqrt(x) if x > 0 else math.nan),
    ops.Function.RECIPROCAL: (0.0, lambda x: 1 / x),
    ops.Function.ABSOLUTE: (0.0, abs),
    ops.Function.ERROR_FUNCTION: (0.0, math.erf),
    ops.Function.SINE: (0.0, math.sin),
    ops.Function.COSINE: (0.0, math.cos),
}


@pytest.mark.parametrize("function", ops.Function)
def test_functions(function: ops.Function) -> None:
    parameter, reference = REFERENCE[function]
    x = torch.tensor([-4.5, -2.0, -0.3, 0.4, 1.0, 2.5, 7.0])
    found = evaluate(ops.Elementwise(function=function, parameter=parameter), [x])
    expected = torch.tensor([reference(value) for value in x.tolist()])
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5, equal_nan=True)


T = TensorType
WRONG_OPERANDS: list[tuple[ops.Operator, list[TensorType], str]] = [
    (ops.Linear(), [T((2, 3))], "there must be 2 to 3 operands, not 1"),
    (ops.Linear(), [T((2, 3), I64), T((4, 3))], "operands must be float32, not int64"),
    (
        ops.Linear(),
        [T((2, 3)), T((4, 5))],
        r"the last axis of the operand must have 5 channels, not the shape \(2, 3\)",
    ),
    (ops.Linear(), [T((2, 3)), T((4,))], r"must have 2 dimensions, \(outputs, inputs\), not the shape \(4,\)"),
    (ops.Linear(), [T((2, 3)), T((4, 3)), T((3,))], r"bias must have the shape \(4,\), not \(3,\)"),
    (ops.Conv2d(), [T((3, 5, 5)), T((4, 3, 1, 1))], r"must have 4 dimensions, \(batch, channels, height, width\)"),
    (ops.Conv2d(groups=2), [T((1, 3, 5, 5)), T((4, 3, 1, 1))], "3 channels for each of 2 groups, not 3 in all"),
    (ops.Conv2d(groups=3), [T((1, 3, 5, 5)), T((4, 1, 1, 1))], "output channels must be a multiple of groups 3, not 4"),
    (
        ops.Conv2d(dilation=(2, 1)),
        [T((1, 3, 4, 5)), T((4, 3, 3, 3))],
        r"a kernel \(3, 3\) with dilation \(2, 1\) must fit into \(4, 5\) padded by \(0, 0, 0, 0\)",
    ),
    (ops.ConvTranspose2d(), [T((1, 4, 5, 5)), T((3, 4, 1, 1))], "the operand must have 3 channels, not 4"),
    (
        ops.ConvTranspose2d(groups=2),
        [T((1, 3, 5, 5)), T((3, 4, 1, 1))],
        "input channels must be a multiple of groups 2",
    ),
    (
        ops.ConvTranspose2d(padding=(3, 0, 2, 0)),
        [T((1, 3, 5, 5)), T((3, 4, 1, 1))],
        r"at least one row and column, not \(0, 5\)",
    ),
    (ops.Embedding(), [T((2,)), T((4, 5))], "ids must be int64 or int32, not float32"),
    (ops.MatMul(), [T((2, 3)), T((2, 3))], r"must be \(..., M, K\) and \(..., K, N\), not \(2, 3\) and \(2, 3\)"),
    (ops.MatMul(), [T((3,)), T((3, 2))], r"must be \(..., M, K\) and \(..., K, N\)"),
    (ops.Add(), [T((2, 3)), T((2,))], r"shapes that broadcast, not \(2, 3\) and \(2,\)"),
    (ops.Multiply(), [T((2, 3)), T((3,), BOOL)], "operands must be float32, not bool"),
    (ops.ScaleShift(axis=1), [T((2, 3)), T((2,)), T((3,))], r"scale must have the shape \(3,\), not \(2,\)"),
    (ops.ScaleShift(axis=2), [T((2, 3)), T((2,)), T((3,))], r"axis must be in -2 .. 1, not 2"),
    (ops.Clamp(), [T((2,), I64)], "operands must be float32, not int64"),
    (ops.Where(), [T((2,)), T((2,)), T((2,))], "condition must be bool, not float32"),
    (ops.Not(), [T((2,))], "the operand must be bool, not float32"),
    (ops.Cast(dtype=BOOL), [], "there must be 1 operands, not 0"),
    (ops.Softmax(axis=2), [T((2, 3))], "axis must be in -2 .. 1, not 2"),
    (ops.Softmax(axis=1), [T((2, 3)), T((2, 3))], "keep must be bool, not float32"),
    (ops.Softmax(axis=1), [T((2, 3)), T((4, 2, 3), BOOL)], r"keep must have a shape that broadcasts to \(2, 3\), not"),
    (ops.LayerNorm(epsilon=0.1), [T((2, 3)), T((2,)), T((3,))], r"weight must have the shape \(3,\), not \(2,\)"),
    (ops.LayerNorm(epsilon=0.1), [T(()), T(()), T(())], "an axis to normalise, not be a scalar"),
    (ops.Mean(axes=(2,)), [T((2, 3))], "axis must be in -2 .. 1, not 2"),
    (ops.AveragePool(kernel=(3, 3), stride=(1, 1)), [T((2, 3, 4))], r"must have 4 dimensions"),
    (ops.MaxPool(kernel=(5, 3), stride=(1, 1)), [T((1, 2, 4, 4))], r"a kernel \(5, 3\) with dilation"),
    (ops.Reshape(shape=(2, 2)), [T((2, 3))], r"shape must have the 6 elements of \(2, 3\), not \(2, 2\)"),
    (ops.Transpose(permutation=(0, 0)), [T((2, 3))], r"must have each axis of \(2, 3\) once, not be \(0, 0\)"),
    (ops.Slice(axis=0, start=1, stop=4), [T((3,))], "start 1 must be below stop 4, and stop at most the 3 of the axis"),
    (ops.Slice(axis=0, start=2, stop=2), [T((3,))], "start 2 must be below stop 2"),
    (ops.Concat(axis=0), [], "there must be at least 1 operand, not 0"),
    (ops.Concat(axis=0), [T((2, 3)), T((2, 4))], r"alike but on axis 0, not \(2, 3\) and \(2, 4\)"),
    (ops.Concat(axis=0), [T((2, 3)), T((2,))], r"alike but on axis 0, not \(2, 3\) and \(2,\)"),
    (ops.Concat(axis=0), [T((2, 3)), T((2, 3), BOOL)], "one dtype, not float32 and bool"),
    (ops.Expand(shape=(2, 4)), [T((2, 3))], "broadcast"),
    (ops.Expand(shape=(3,)), [T((2, 3))], r"shape must be one that \(2, 3\) broadcasts to, not \(3,\)"),
    (ops.Pad(before=(1,), after=(1,)), [T((2, 3))], r"must have a number for each of \(2, 3\)"),
    (HOST, [T((4,))], r"operands of aten.sort.default must have the shapes \(\(3,\),\), not \(\(4,\),\)"),
]


@pytest.mark.parametrize(("operator", "operands", "message"), WRONG_OPERANDS)
def test_wrong_operands(operator: ops.Operator, operands: list[TensorType], message: str) -> None:
    with pytest.raises(OperatorError, match=message):
        operator.output_type(operands)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ops.Conv2d(stride=(0, 1)), r"stride must be at least 1, not \(0, 1\)"),
        (lambda: ops.Conv2d(padding=(0, 0, -1, 0)), r"padding must be at least 0, not \(0, 0, -1, 0\)"),
        (lambda: ops.Conv2d(groups=0), "groups must be at least 1, not 0"),
        (lambda: ops.ConvTranspose2d(dilation=(1, 0)), r"dilation must be at least 1, not \(1, 0\)"),
        (lambda: ops.ConvTranspose2d(output_padding=(1, 0)), r"output_padding must be less than stride \(1, 1\), not"),
        (
            lambda: ops.MaxPool(kernel=(2, 2), stride=(1, 1), padding=(0, 2, 0, 0)),
            r"less than the kernel \(2, 2\), not",
        ),
        (lambda: ops.AveragePool(kernel=(2, 0), stride=(1, 1)), r"kernel must be at least 1, not \(2, 0\)"),
        (lambda: ops.Slice(axis=0, start=0, stop=1, step=0), "step must be at least 1, not 0"),
        (lambda: ops.Slice(axis=-1, start=0, stop=1), "axis must be at least 0, not -1"),
        (lambda: ops.Concat(axis=-1), "axis must be at least 0, not -1"),
        (lambda: ops.Softmax(axis=-1), "axis must be at least 0, not -1"),
        (lambda: ops.Pad(before=(-1,), after=(0,)), r"before must be at least 0, not \(-1,\)"),
        (lambda: ops.Clamp(low=1.0, high=0.0), "low must be at most high 0.0, not 1.0"),
        (lambda: ops.Elementwise(function=ops.Function.GELU, parameter=1.0), "parameter of gelu must be 0, not 1.0"),
        (lambda: ops.LayerNorm(epsilon=-1.0), "epsilon must be at least 0, not -1.0"),
        (lambda: ops.LayerNorm(epsilon=math.nan), "epsilon must be at least 0, not nan"),
        (lambda: ops.Mean(axes=(1, 0)), r"axes must be different, in order and at least one, not \(1, 0\)"),
        (lambda: ops.Mean(axes=()), "axes must be different"),
        (
            lambda: TensorType((1,), torch.float64),
            "dtype must be one of float32, int64, int32, bool, uint8, not float64",
        ),
    ],
)
def test_wrong_attributes(make: Callable[[], object], message: str) -> None:
    with pytest.raises(OperatorError, match=message):
        make()
