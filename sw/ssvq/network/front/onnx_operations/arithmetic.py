"""Operations on numbers one by one, softmax, and means."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial, reduce

from ssvq.network import operators as ops
from ssvq.network.errors import UnsupportedError
from ssvq.network.front import composition as make
from ssvq.network.front.builder import GraphBuilder, Value
from ssvq.network.front.composition_windows import global_max_pool
from ssvq.network.front.onnx_operations.table import TABLE, maps
from ssvq.network.tensor_type import axis_of

FUNCTIONS = {
    "Sigmoid": ops.Function.SIGMOID,
    "Tanh": ops.Function.TANH,
    "HardSwish": ops.Function.HARD_SWISH,
    "Mish": ops.Function.MISH,
    "Softplus": ops.Function.SOFTPLUS,
    "Erf": ops.Function.ERROR_FUNCTION,
    "Exp": ops.Function.EXP,
    "Log": ops.Function.LOG,
    "Sqrt": ops.Function.SQRT,
    "Reciprocal": ops.Function.RECIPROCAL,
    "Abs": ops.Function.ABSOLUTE,
    "Sin": ops.Function.SINE,
    "Cos": ops.Function.COSINE,
}


def _elementwise(b: GraphBuilder, x: Value, *, function: ops.Function) -> Value:
    return b.apply(ops.Elementwise(function=function), x)


for _name, _function in FUNCTIONS.items():
    TABLE[_name] = partial(_elementwise, function=_function)

_Binary = Callable[[GraphBuilder, Value, Value], Value]
_BINARY: dict[str, _Binary] = {
    "Add": make.add,
    "Sub": make.subtract,
    "Mul": make.multiply,
    "Div": make.divide,
}
TABLE.update(_BINARY)


@maps("Sum")
def total_of(b: GraphBuilder, *terms: Value) -> Value:
    """Adds."""
    return reduce(lambda x, y: make.add(b, x, y), terms)


@maps("Neg")
def negative(b: GraphBuilder, x: Value) -> Value:
    """A Multiply by -1."""
    return make.multiply(b, x, -1)


@maps("Gelu")
def gelu(b: GraphBuilder, x: Value, *, approximate: str = "none") -> Value:
    """Exact, or by tanh."""
    function = ops.Function.GELU_TANH if approximate == "tanh" else ops.Function.GELU
    return b.apply(ops.Elementwise(function=function), x)


@maps("Swish")
def swish(b: GraphBuilder, x: Value, *, alpha: float = 1.0) -> Value:
    """x * sigmoid(x)."""
    if alpha != 1:
        raise UnsupportedError(f"alpha must be 1, not {alpha}")
    return b.apply(ops.Elementwise(function=ops.Function.SILU), x)


@maps("HardSigmoid")
def hard_sigmoid(b: GraphBuilder, x: Value, *, alpha: float = 0.2, beta: float = 0.5) -> Value:
    """PyTorch's, of which alpha is 1/6; otherwise Multiply, Add and Clamp."""
    if math.isclose(alpha, 1 / 6, rel_tol=1e-6) and beta == 0.5:
        return b.apply(ops.Elementwise(function=ops.Function.HARD_SIGMOID), x)
    return make.clamp(b, make.add(b, make.multiply(b, x, alpha), beta), 0, 1)


@maps("LeakyRelu")
def leaky_relu(b: GraphBuilder, x: Value, *, alpha: float = 0.01) -> Value:
    """A slope below 0."""
    return b.apply(ops.Elementwise(function=ops.Function.LEAKY_RELU, parameter=alpha), x)


@maps("Elu")
def elu(b: GraphBuilder, x: Value, *, alpha: float = 1.0) -> Value:
    """An exponential below 0."""
    return b.apply(ops.Elementwise(function=ops.Function.ELU, parameter=alpha), x)


@maps("Relu")
def relu(b: GraphBuilder, x: Value) -> Value:
    """A Clamp."""
    return make.clamp(b, x, 0, None)


@maps("Clip")
def clip(b: GraphBuilder, x: Value, low: Value | None = None, high: Value | None = None) -> Value:
    """A Clamp."""
    bounds = [None if bound is None else make.required_constant(bound, "bounds").item() for bound in (low, high)]
    return make.clamp(b, x, *bounds)


@maps("Pow")
def power(b: GraphBuilder, x: Value, exponent: Value) -> Value:
    """x to the power of a number."""
    tensor = make.required_constant(exponent, "an exponent")
    if tensor.numel() != 1:
        raise UnsupportedError(f"an exponent must be one number, not of shape {exponent.shape}")
    return make.power(b, x, tensor.item())


@maps("Softmax")
def softmax(b: GraphBuilder, x: Value, *, axis: int = -1) -> Value:
    """A Softmax."""
    return b.apply(ops.Softmax(axis=axis_of(axis, len(x.shape))), x)


@maps("LogSoftmax")
def log_softmax(b: GraphBuilder, x: Value, *, axis: int = -1) -> Value:
    """A Softmax and its logarithm."""
    return b.apply(ops.Elementwise(function=ops.Function.LOG), softmax(b, x, axis=axis))


@maps("Where")
def where(b: GraphBuilder, condition: Value, x: Value, y: Value) -> Value:
    """A Where."""
    return b.apply(ops.Where(), condition, make.as_value(b, x), make.as_value(b, y))


def _axes(given: Value | None, attribute: Sequence[int]) -> list[int] | None:
    """Axes, which older files have as an attribute; None for all."""
    return (make.integers(given, "axes") if given is not None else list(attribute)) or None


def _reduced(
    b: GraphBuilder,
    x: Value,
    given: Value | None = None,
    *,
    by: Callable[[GraphBuilder, Value, list[int] | None, bool], Value],
    axes: Sequence[int] = (),
    keepdims: int = 1,
    noop_with_empty_axes: int = 0,
) -> Value:
    """Along axes, which newer files have as an operand; they stay with the length 1 or go."""
    chosen = _axes(given, axes)
    return x if chosen is None and noop_with_empty_axes else by(b, x, chosen, bool(keepdims))


TABLE["ReduceMean"] = partial(_reduced, by=lambda b, x, axes, keep: make.mean(b, x, axes, keep=keep))
TABLE["ReduceSum"] = partial(_reduced, by=lambda b, x, axes, keep: make.total(b, x, axes, keep=keep))
TABLE["ReduceMax"] = partial(_reduced, by=lambda b, x, axes, keep: global_max_pool(b, x, axes or (), keep=keep))
