"""Operations on numbers one by one, softmax, and means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch

from ssvq.network import operators as ops
from ssvq.network.errors import UnsupportedError
from ssvq.network.front import composition as make
from ssvq.network.front.aten.table import TABLE, maps
from ssvq.network.front.builder import GraphBuilder, Value
from ssvq.network.front.composition import Number, Term
from ssvq.network.tensor_type import axis_of, short

FUNCTIONS = {
    "sigmoid": ops.Function.SIGMOID,
    "tanh": ops.Function.TANH,
    "silu": ops.Function.SILU,
    "hardswish": ops.Function.HARD_SWISH,
    "hardsigmoid": ops.Function.HARD_SIGMOID,
    "mish": ops.Function.MISH,
    "exp": ops.Function.EXP,
    "log": ops.Function.LOG,
    "sqrt": ops.Function.SQRT,
    "rsqrt": ops.Function.RECIPROCAL_SQRT,
    "reciprocal": ops.Function.RECIPROCAL,
    "abs": ops.Function.ABSOLUTE,
    "erf": ops.Function.ERROR_FUNCTION,
    "sin": ops.Function.SINE,
    "cos": ops.Function.COSINE,
}


def _elementwise(b: GraphBuilder, *, x: Value, function: ops.Function) -> Value:
    return b.apply(ops.Elementwise(function=function), x)


for _name, _function in FUNCTIONS.items():
    TABLE[_name] = partial(_elementwise, function=_function)


@maps("gelu")
def gelu(b: GraphBuilder, *, x: Value, approximate: str) -> Value:
    """Exact, or by tanh."""
    function = ops.Function.GELU_TANH if approximate == "tanh" else ops.Function.GELU
    return b.apply(ops.Elementwise(function=function), x)


@maps("softplus")
def softplus(b: GraphBuilder, *, x: Value, beta: Number, threshold: Number) -> Value:
    """log(1 + exp(x))."""
    if (beta, threshold) != (1, 20):
        raise UnsupportedError(f"beta and threshold of softplus must be 1 and 20, not {beta} and {threshold}")
    return b.apply(ops.Elementwise(function=ops.Function.SOFTPLUS), x)


@maps("leaky_relu")
def leaky_relu(b: GraphBuilder, *, x: Value, negative_slope: Number) -> Value:
    """A slope below 0."""
    return b.apply(ops.Elementwise(function=ops.Function.LEAKY_RELU, parameter=float(negative_slope)), x)


@maps("elu")
def elu(b: GraphBuilder, *, x: Value, alpha: Number, scale: Number, input_scale: Number) -> Value:
    """An exponential below 0."""
    if input_scale != 1:
        raise UnsupportedError(f"input_scale of elu must be 1, not {input_scale}")
    result = b.apply(ops.Elementwise(function=ops.Function.ELU, parameter=float(alpha)), x)
    return result if scale == 1 else make.multiply(b, result, scale)


@maps("pow")
def power(b: GraphBuilder, *, x: Value, exponent: Number | Value) -> Value:
    """x to the power of a number."""
    if isinstance(exponent, Value):
        tensor = make.required_constant(exponent, "an exponent")
        if tensor.numel() != 1:
            raise UnsupportedError(f"an exponent must be one number, not of shape {exponent.shape}")
        exponent = tensor.item()
    return make.power(b, x, exponent)


@maps("square")
def square(b: GraphBuilder, *, x: Value) -> Value:
    """x to the power of 2."""
    return make.power(b, x, 2)


@maps("neg")
def negative(b: GraphBuilder, *, x: Value) -> Value:
    """A Multiply by -1."""
    return make.multiply(b, x, -1)


@maps("add")
def add(b: GraphBuilder, *, x: Value, y: Term, alpha: Number = 1) -> Value:
    """x + alpha * y."""
    return make.add(b, x, y if alpha == 1 else make.multiply(b, y, alpha))


@maps("sub")
def subtract(b: GraphBuilder, *, x: Value, y: Term, alpha: Number = 1) -> Value:
    """x - alpha * y."""
    return make.add(b, x, make.multiply(b, y, -alpha))


@maps("rsub")
def subtract_from(b: GraphBuilder, *, x: Value, y: Term, alpha: Number = 1) -> Value:
    """y - alpha * x."""
    return make.add(b, make.multiply(b, x, -alpha), y)


@maps("mul")
def multiply(b: GraphBuilder, *, x: Value, y: Term) -> Value:
    """x * y."""
    return make.multiply(b, x, y)


@maps("div")
def divide(b: GraphBuilder, *, x: Value, y: Term, rounding_mode: str | None = None) -> Value:
    """x / y: a Multiply by the reciprocal."""
    if rounding_mode is not None:
        raise UnsupportedError(f"a quotient must not be rounded, as {rounding_mode} does")
    return make.divide(b, x, y)


@maps("lerp")
def interpolate(b: GraphBuilder, *, x: Value, end: Value, weight: Term) -> Value:
    """x + weight * (end - x)."""
    return make.add(b, x, make.multiply(b, make.subtract(b, end, x), weight))


@maps("relu")
def relu(b: GraphBuilder, *, x: Value) -> Value:
    """A Clamp."""
    return make.clamp(b, x, 0, None)


@maps("relu6")
def relu6(b: GraphBuilder, *, x: Value) -> Value:
    """A Clamp."""
    return make.clamp(b, x, 0, 6)


@maps("hardtanh")
def hardtanh(b: GraphBuilder, *, x: Value, min_val: Number, max_val: Number) -> Value:
    """A Clamp."""
    return make.clamp(b, x, min_val, max_val)


@maps("clamp", "clip", "clamp_min", "clamp_max")
def clamp(b: GraphBuilder, *, x: Value, min: Term | None = None, max: Term | None = None) -> Value:
    """A Clamp, with bounds that are numbers."""
    if isinstance(min, Value) or isinstance(max, Value):
        raise UnsupportedError("bounds must be numbers")
    return make.clamp(b, x, min, max)


@maps("softmax", "_softmax")
def softmax(b: GraphBuilder, *, x: Value, dim: int, **_settings: object) -> Value:
    """A Softmax."""
    return b.apply(ops.Softmax(axis=axis_of(dim, len(x.shape))), x)


@maps("log_softmax", "_log_softmax")
def log_softmax(b: GraphBuilder, *, x: Value, dim: int, **_settings: object) -> Value:
    """A Softmax and its logarithm."""
    return b.apply(ops.Elementwise(function=ops.Function.LOG), softmax(b, x=x, dim=dim))


@maps("mean")
def mean(
    b: GraphBuilder, *, x: Value, dim: Sequence[int] | None = None, keepdim: bool = False, dtype: object = None
) -> Value:
    """A Mean."""
    return make.mean(b, x, dim, keep=keepdim)


@maps("sum")
def total(
    b: GraphBuilder, *, x: Value, dim: Sequence[int] | None = None, keepdim: bool = False, dtype: object = None
) -> Value:
    """A Mean and a Multiply."""
    return make.total(b, x, dim, keep=keepdim)


@maps("var")
def variance(
    b: GraphBuilder,
    *,
    x: Value,
    dim: Sequence[int] | None = None,
    correction: Number | None = 1,
    unbiased: bool = True,
    keepdim: bool = False,
) -> Value:
    """Mean of the squared distances from the mean, and a Multiply where fewer than their number divide the sum."""
    centred = make.subtract(b, x, make.mean(b, x, dim, keep=True))
    result = make.mean(b, make.power(b, centred, 2), dim, keep=keepdim)
    count = math.prod(x.shape) // max(1, math.prod(result.shape))
    less = 0 if not unbiased else 1 if correction is None else correction
    if count <= less:
        raise UnsupportedError(f"there must be more than {less} numbers, not {count}")
    return make.multiply(b, result, count / (count - less)) if less else result


@maps("linalg_vector_norm")
def norm(
    b: GraphBuilder, *, x: Value, ord: Number, dim: Sequence[int] | None, keepdim: bool, dtype: object = None
) -> Value:
    """The root of the sum of squares."""
    if ord != 2:
        raise UnsupportedError(f"the order of a norm must be 2, not {ord}")
    return make.power(b, make.total(b, make.power(b, x, 2), dim, keep=keepdim), 0.5)


@maps("where")
def where(b: GraphBuilder, *, condition: Value, x: Term, y: Term) -> Value:
    """A Where."""
    return b.apply(ops.Where(), condition, make.as_value(b, x), make.as_value(b, y))


@maps("masked_fill")
def masked_fill(b: GraphBuilder, *, x: Value, mask: Value, value: Term) -> Value:
    """A Where."""
    if x.dtype != torch.float32:
        raise UnsupportedError(f"operands must be float32, not {short(x.dtype)}")
    return b.apply(ops.Where(), mask, make.as_value(b, value), x)
