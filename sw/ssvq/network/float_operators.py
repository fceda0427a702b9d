"""What each operator computes in float32, by PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import singledispatch

import torch
from torch import Tensor
from torch.nn import functional

from ssvq.network import operators as ops

FUNCTIONS: dict[ops.Function, Callable[[Tensor, float], Tensor]] = {
    ops.Function.GELU: lambda x, _: functional.gelu(x),
    ops.Function.GELU_TANH: lambda x, _: functional.gelu(x, approximate="tanh"),
    ops.Function.SIGMOID: lambda x, _: x.sigmoid(),
    ops.Function.TANH: lambda x, _: x.tanh(),
    ops.Function.SILU: lambda x, _: functional.silu(x),
    ops.Function.HARD_SWISH: lambda x, _: functional.hardswish(x),
    ops.Function.HARD_SIGMOID: lambda x, _: functional.hardsigmoid(x),
    ops.Function.MISH: lambda x, _: functional.mish(x),
    ops.Function.SOFTPLUS: lambda x, _: functional.softplus(x),
    ops.Function.LEAKY_RELU: lambda x, p: functional.leaky_relu(x, p),
    ops.Function.ELU: lambda x, p: functional.elu(x, p),
    ops.Function.POWER: lambda x, p: x.pow(p),
    ops.Function.EXP: lambda x, _: x.exp(),
    ops.Function.LOG: lambda x, _: x.log(),
    ops.Function.SQRT: lambda x, _: x.sqrt(),
    ops.Function.RECIPROCAL_SQRT: lambda x, _: x.rsqrt(),
    ops.Function.RECIPROCAL: lambda x, _: x.reciprocal(),
    ops.Function.ABSOLUTE: lambda x, _: x.abs(),
    ops.Function.ERROR_FUNCTION: lambda x, _: x.erf(),
    ops.Function.SINE: lambda x, _: x.sin(),
    ops.Function.COSINE: lambda x, _: x.cos(),
}


@singledispatch
def evaluate(operator: ops.Operator, operands: Sequence[Tensor]) -> Tensor:
    """An operator's result. It may share the memory of an operand."""
    raise TypeError(f"there is no arithmetic for {type(operator).__name__}")


@evaluate.register
def _(_operator: ops.Linear, operands: Sequence[Tensor]) -> Tensor:
    return functional.linear(operands[0], operands[1], _bias(operands))


@evaluate.register
def _(operator: ops.Conv2d, operands: Sequence[Tensor]) -> Tensor:
    top, left, bottom, right = operator.padding
    x, padding = operands[0], [top, left]
    if (top, left) != (bottom, right):
        x, padding = functional.pad(x, (left, right, top, bottom)), [0, 0]
    return torch.conv2d(x, operands[1], _bias(operands), operator.stride, padding, operator.dilation, operator.groups)


@evaluate.register
def _(operator: ops.ConvTranspose2d, operands: Sequence[Tensor]) -> Tensor:
    full = functional.conv_transpose2d(
        operands[0],
        operands[1],
        _bias(operands),
        operator.stride,
        0,
        operator.output_padding,
        operator.groups,
        operator.dilation,
    )
    top, left, bottom, right = operator.padding
    return full[:, :, top : full.shape[2] - bottom, left : full.shape[3] - right]


def _bias(operands: Sequence[Tensor]) -> Tensor | None:
    return operands[2] if len(operands) > 2 else None


@evaluate.register
def _(_operator: ops.Embedding, operands: Sequence[Tensor]) -> Tensor:
    return functional.embedding(operands[0], operands[1])


@evaluate.register
def _(_operator: ops.MatMul, operands: Sequence[Tensor]) -> Tensor:
    return torch.matmul(*operands)


@evaluate.register
def _(_operator: ops.Add, operands: Sequence[Tensor]) -> Tensor:
    return torch.add(*operands)


@evaluate.register
def _(_operator: ops.Multiply, operands: Sequence[Tensor]) -> Tensor:
    return torch.mul(*operands)


@evaluate.register
def _(operator: ops.ScaleShift, operands: Sequence[Tensor]) -> Tensor:
    x, scale, shift = operands
    shape = [-1 if axis == operator.axis else 1 for axis in range(x.ndim)]
    return x * scale.view(shape) + shift.view(shape)


@evaluate.register
def _(operator: ops.Clamp, operands: Sequence[Tensor]) -> Tensor:
    return operands[0].clamp(operator.low, operator.high)


@evaluate.register
def _(operator: ops.Elementwise, operands: Sequence[Tensor]) -> Tensor:
    return FUNCTIONS[operator.function](operands[0], operator.parameter)


@evaluate.register
def _(_operator: ops.Where, operands: Sequence[Tensor]) -> Tensor:
    condition, a, b = operands
    return torch.where(condition, a, b)


@evaluate.register
def _(operator: ops.Cast, operands: Sequence[Tensor]) -> Tensor:
    return operands[0].to(operator.dtype)


@evaluate.register
def _(_operator: ops.Not, operands: Sequence[Tensor]) -> Tensor:
    return operands[0].logical_not()


@evaluate.register
def _(operator: ops.Softmax, operands: Sequence[Tensor]) -> Tensor:
    x, *keep = operands
    if not keep:
        return x.softmax(operator.axis)
    left_out = ~keep[0]
    return x.masked_fill(left_out, -torch.inf).softmax(operator.axis).masked_fill(left_out, 0.0)


@evaluate.register
def _(operator: ops.LayerNorm, operands: Sequence[Tensor]) -> Tensor:
    x, weight, bias = operands
    return functional.layer_norm(x, x.shape[-1:], weight, bias, operator.epsilon)


@evaluate.register
def _(operator: ops.Mean, operands: Sequence[Tensor]) -> Tensor:
    return operands[0].mean(operator.axes, keepdim=True)


@evaluate.register
def _(operator: ops.AveragePool, operands: Sequence[Tensor]) -> Tensor:
    x = operands[0]
    top, left, bottom, right = operator.padding
    pads = (left, right, top, bottom)
    mean = functional.avg_pool2d(functional.pad(x, pads), operator.kernel, operator.stride)
    if operator.count_padding or not any(pads):
        return mean
    inside = functional.pad(x.new_ones((1, 1, *x.shape[2:])), pads)
    return mean / functional.avg_pool2d(inside, operator.kernel, operator.stride)


@evaluate.register
def _(operator: ops.MaxPool, operands: Sequence[Tensor]) -> Tensor:
    top, left, bottom, right = operator.padding
    padded = functional.pad(operands[0], (left, right, top, bottom), value=-torch.inf)
    return functional.max_pool2d(padded, operator.kernel, operator.stride)


@evaluate.register
def _(operator: ops.Reshape, operands: Sequence[Tensor]) -> Tensor:
    return operands[0].reshape(operator.shape)


@evaluate.register
def _(operator: ops.Transpose, operands: Sequence[Tensor]) -> Tensor:
    return operands[0].permute(operator.permutation)


@evaluate.register
def _(operator: ops.Slice, operands: Sequence[Tensor]) -> Tensor:
    index = [slice(None)] * operator.axis + [slice(operator.start, operator.stop, operator.step)]
    return operands[0][tuple(index)]


@evaluate.register
def _(operator: ops.Concat, operands: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(operands), operator.axis)


@evaluate.register
def _(operator: ops.Expand, operands: Sequence[Tensor]) -> Tensor:
    return operands[0].expand(operator.shape)


@evaluate.register
def _(operator: ops.Pad, operands: Sequence[Tensor]) -> Tensor:
    pads = [pad for pair in zip(operator.before[::-1], operator.after[::-1], strict=True) for pad in pair]
    return functional.pad(operands[0], pads, value=operator.value)


@evaluate.register
def _(operator: ops.Host, operands: Sequence[Tensor]) -> Tensor:
    return operator.function(*operands)
