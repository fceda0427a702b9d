"""Operators that compute without weights, or with a few for each channel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch

from ssvq.network.errors import OperatorError
from ssvq.network.operators.base import Operator, require_count, require_float, require_least, require_shape
from ssvq.network.tensor_type import TensorType, axis_of, broadcast, short


@dataclass(frozen=True, kw_only=True)
class MatMul(Operator):
    """a (..., M, K) times b (..., K, N), both activations as a rule, to (..., M, N); the axes before broadcast."""

    label = "matmul"

    def output_type(self, operands: Sequence[TensorType]) -> TensorType:
        """(..., M, N)."""
        require_count(operands, 2)
        require_float(*operands)
        a, b = operands
        if min(len(a.shape), len(b.shape)) < 2 or a.shape[-1] != b.shape[-2]:
            raise OperatorError(f"operands must be (..., M, K) and (..., K, N), not {a.shape} and {b.shape}")
        return TensorType((*broadcast(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1]))


@dataclass(frozen=True, kw_only=True)
class _Binary(Operator):
    """Element by element, with shapes that broadcast."""

    def output_type(self, operands: Sequence[TensorType]) -> TensorType:
        """The common shape."""
        require_count(operands, 2)
        require_float(*operands)
        return TensorType(broadcast(*(operand.shape for operand in operands)))


@dataclass(frozen=True, kw_only=True)
class Add(_Binary):
    """a + b, element by element with shapes that broadcast; one of them may be a constant."""

    label = "add"


@dataclass(frozen=True, kw_only=True)
class Multiply(_Binary):
    """a * b, element by element with shapes that broadcast; one of them may be a constant."""

    label = "multiply"


@dataclass(frozen=True, kw_only=True)
class ScaleShift(Operator):
    """x * scale + shift with scale and shift (C,) for the C places of one axis: a batch norm that nothing took in."""

    label = "scale_shift"
    parameters = (1, 2)
    axis: int

    def __post_init__(self) -> None:
        require_least(0, axis=self.axis)

    def output_type(self, operands: Sequence[TensorType]) -> TensorType:
        """x's shape."""
        require_count(operands, 3)
        require_float(*operands)
        x, scale, shift = operands
        channels = (x.shape[axis_of(self.axis, len(x.shape))],)
        require_shape("scale", scale, channels)
        require_shape("shift", shift, channels)
        return x


@dataclass(frozen=True, kw_only=True)
class Clamp(Operator):
    """min(max(x, low), high): ReLU is 0 .. inf, ReLU6 0 .. 6."""

    label = "clamp"
    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise OperatorError(f"low must be at most high {self.high}, not {self.low}")

    def output_type(self, operands: Sequence[TensorType]) -> TensorType:
        """x's shape."""
        require_count(operands, 1)
        require_float(*operands)
        return operands[0]


class Function(StrEnum):
    """A function of one number; those with a parameter p say what it is."""

    GELU = "gelu"  # exact, by the error function
    GELU_TANH = "gelu_tanh"
    SIGMOID = "sigmoid"
    TANH = "tanh"
    SILU = "silu"
    HARD_SWISH = "hard_swish"
    HARD_SIGMOID = "hard_sigmoid"
    MISH = "mish"
    SOFTPLUS = "softplus"
    LEAKY_RELU = "leaky_relu"  # p is the slope below 0
    ELU = "elu"  # p (exp(x) - 1) below 0
    POWER = "power"  # x to the p
    EXP = "exp"
    LOG = "log"
    SQRT = "sqrt"
    RECIPROCAL_SQRT = "reciprocal_sqrt"
    RECIPROCAL = "reciprocal"
    ABSOLUTE = "absolute"
    ERROR_FUNCTION = "error_function"
    SINE = "sine"
    COSINE = "cosine"


WITH_PARAMETER = (Function.LEAKY_RELU, Function.ELU, Function.POWER)


@dataclass(frozen=True, kw_only=True)
class Elementwise(Operator):
    """A function of each number by itself, which for int8 is a table of 256 entries.

    Attributes:
        function: which.
        parameter: p of those functions that have one, otherwise 0.
    """

    label = "elementwise"
    function: Function
    parameter: float = 0.0

    def __post_init__(self) -> None:
        if self.parameter != 0 and self.function not in WITH_PARAMETER:
            raise OperatorError(f"parameter of {self.function} must be 0, not {self.parameter}")

    def output_type(self, operands: Sequence[TensorType]) -> TensorType:
        """x's shape."""
        require_count(operands, 1)
        require_float(*operands)
        return operands[0]


@dataclass(frozen=True, kw_only=True)
class Where(Operator):
    """a where the bool operand `condition` holds and b elsewhere; operands condition, a, b broadcast."""

    label = "where"

    def output_type(self, operands: Sequence[TensorType]) -> TensorType:
        """The common shape."""
        require_count(operands, 3)
        condition, a, b = operands
        if condition.dtype != torch.bool:
            raise OperatorError(f"condition must be bool, not {short(condition.dtype)}")
        require_float(a, b)
        return TensorType(broadcast(condition.shape, a.shape, b.shape))


@dataclass(frozen=True, kw_only=True)
class Softmax(Operator):
    """exp(x) by the sum of exp(x) along one axis.

    A second operand `keep`, bool and of a shape that broadcasts to x's, leaves out the places where it does not hold:
    they give 0, all of a row if need be. It may be a constant or come from an input.
    """

    label = "softmax"
    axis: int

    def __post_init__(self) -> None:
        require_least(0, axis=self.axis)

    def output_type(self, operands: Sequence[TensorType]) -> TensorType:
        """x's shape."""
        require_count(operands, 1, 2)
        x = operands[0]
        require_float(x)
        axis_of(self.axis, len(x.shape))
        for keep in operands[1:]:
            if keep.dtype != torch.bool:
                raise OperatorError(f"keep must be bool, not {short(keep.dtype)}")
            if broadcast(x.shape, keep.shape) != x.shape:
                raise OperatorError(f"keep must have a shape that broadcasts to {x.shape}, not {keep.shape}")
        return x


@dataclass(frozen=True, kw_only=True)
class LayerNorm(Operator):
    """(x - mean) / sqrt(variance + epsilon) * weight + bias, over the last axis: x (..., C), weight and bias (C,)."""

    label = "layer_norm"
    parameters = (1, 2)
    epsilon: float

    def __post_init__(self) -> None:
        if not self.epsilon >= 0:
            raise OperatorError(f"epsilon must be at least 0, not {self.epsilon}")

    def output_type(self, operands: Sequence[TensorType]) -> TensorType:
        """x's shape."""
        require_count(operands, 3)
        require_float(*operands)
        x, weight, bias = operands
        if not x.shape:
            raise OperatorError("the operand must have an axis to normalise, not be a scalar")
        require_shape("weight", weight, x.shape[-1:])
        require_shape("bias", bias, x.shape[-1:])
        return x


@dataclass(frozen=True, kw_only=True)
class Mean(Operator):
    """Mean along axes, which stay with the length 1. That over the rows and columns of an image is an AveragePool."""

    label = "mean"
    axes: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.axes or list(self.axes) != sorted(set(self.axes)):
            raise OperatorError(f"axes must be different, in order and at least one, not {self.axes}")
        require_least(0, axes=self.axes)

    def output_type(self, operands: Sequence[TensorType]) -> TensorType:
        """x's shape with 1 on the axes."""
        require_count(operands, 1)
        require_float(*operands)
        (x,) = operands
        axes = [axis_of(axis, len(x.shape)) for axis in self.axes]
        return TensorType(tuple(1 if axis in axes else length for axis, length in enumerate(x.shape)))
