"""Operators that move values and compute none; of any dtype."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ssvq.network.errors import OperatorError
from ssvq.network.operators.base import Operator, require_count, require_least
from ssvq.network.tensor_type import Shape, TensorType, axis_of, broadcast, short


@dataclass(frozen=True, kw_only=True)
class Reshape(Operator):
    """The same values, in row-major order, in another shape."""

    label = "reshape"
    shape: Shape

    def output_type(self, operands: Sequence[TensorType]) -> TensorType:
        """The new shape."""
        require_count(operands, 1)
        (x,) = operands
        if math.prod(self.shape) != x.size or any(length < 0 for length in self.shape):
            raise OperatorError(f"shape must have the {x.size} elements of {x.shape}, not {self.shape}")
        return TensorType(self.shape, x.dtype)


@dataclass(frozen=True, kw_only=True)
class Transpose(Operator):
    """Axes in another order: axis i of the result is axis `permutation[i]` of the operand."""

    label = "transpose"
    permutation: tuple[int, ...]

    def output_type(self, operands: Sequence[TensorType]) -> TensorType:
        """The permuted shape."""
        require_count(operands, 1)
        (x,) = operands
        if sorted(self.permutation) != list(range(len(x.shape))):
            raise OperatorError(f"permutation must have each axis of {x.shape} once, not be {self.permutation}")
        return TensorType(tuple(x.shape[axis] for axis in self.permutation), x.dtype)


@dataclass(frozen=True, kw_only=True)
class Slice(Operator):
    """Places start, start + step, ... below stop of one axis, all of the others. Bounds count from the front."""

    label = "slice"
    axis: int
    start: int
    stop: int
    step: int = 1

    def __post_init__(self) -> None:
        require_least(0, axis=self.axis, start=self.start)
        require_least(1, step=self.step)

    def output_type(self, operands: Sequence[TensorType]) -> TensorType:
        """The operand's shape with fewer places on the axis."""
        require_count(operands, 1)
        (x,) = operands
        axis = axis_of(self.axis, len(x.shape))
        if not self.start < self.stop <= x.shape[axis]:
            raise OperatorError(
                f"start {self.start} must be below stop {self.stop}, and stop at most the {x.shape[axis]} of the axis"
            )
        length = len(range(self.start, self.stop, self.step))
        return TensorType((*x.shape[:axis], length, *x.shape[axis + 1 :]), x.dtype)


@dataclass(frozen=True, kw_only=True)
class Concat(Operator):
    """Operands one after the other on one axis."""

    label = "concat"
    axis: int

    def __post_init__(self) -> None:
        require_least(0, axis=self.axis)

    def output_type(self, operands: Sequence[TensorType]) -> TensorType:
        """The operands' shape, the lengths of the axis summed."""
        if not operands:
            raise OperatorError("there must be at least 1 operand, not 0")
        first = operands[0]
        axis = axis_of(self.axis, len(first.shape))
        for other in operands[1:]:
            if other.dtype != first.dtype:
                raise OperatorError(f"operands must have one dtype, not {short(first.dtype)} and {short(other.dtype)}")
            if len(other.shape) != len(first.shape) or any(
                a != b for number, (a, b) in enumerate(zip(first.shape, other.shape, strict=True)) if number != axis
            ):
                raise OperatorError(f"operands must be alike but on axis {axis}, not {first.shape} and {other.shape}")
        length = sum(operand.shape[axis] for operand in operands)
        return TensorType((*first.shape[:axis], length, *first.shape[axis + 1 :]), first.dtype)


@dataclass(frozen=True, kw_only=True)
class Expand(Operator):
    """Copies along axes of length 1, and along new ones in front."""

    label = "expand"
    shape: Shape

    def output_type(self, operands: Sequence[TensorType]) -> TensorType:
        """The new shape."""
        require_count(operands, 1)
        (x,) = operands
        if broadcast(x.shape, self.shape) != self.shape:
            raise OperatorError(f"shape must be one that {x.shape} broadcasts to, not {self.shape}")
        return TensorType(self.shape, x.dtype)


@dataclass(frozen=True, kw_only=True)
class Pad(Operator):
    """Places around the operand.

    Attributes:
        before, after: how many, for each axis.
        value: what they hold.
    """

    label = "pad"
    before: tuple[int, ...]
    after: tuple[int, ...]
    value: float = 0.0

    def __post_init__(self) -> None:
        require_least(0, before=self.before, after=self.after)

    def output_type(self, operands: Sequence[TensorType]) -> TensorType:
        """The operand's shape with the places."""
        require_count(operands, 1)
        (x,) = operands
        if not len(self.before) == len(self.after) == len(x.shape):
            raise OperatorError(f"before {self.before} and after {self.after} must have a number for each of {x.shape}")
        lengths = zip(x.shape, self.before, self.after, strict=True)
        return TensorType(tuple(sum(parts) for parts in lengths), x.dtype)


MOVEMENT = (Reshape, Transpose, Slice, Concat, Expand, Pad)
"""The kinds of this file."""
