"""Operations that move values, and those that do nothing in evaluation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from ssvq.network import operators as ops
from ssvq.network.errors import UnsupportedError
from ssvq.network.front import composition as make
from ssvq.network.front.builder import GraphBuilder, Value
from ssvq.network.front.onnx_operations.table import maps
from ssvq.network.tensor_type import axis_of


@maps("Identity")
def identity(_b: GraphBuilder, x: Value) -> Value:
    """Nothing."""
    return x


@maps("Dropout")
def dropout(
    _b: GraphBuilder, x: Value, ratio: Value | None = None, training: Value | None = None, *, seed: int = 0
) -> Value:
    """Nothing, in evaluation."""
    if training is not None and bool(make.required_constant(training, "the mode").item()):
        raise UnsupportedError("it is random")
    return x


@maps("Shape")
def shape(b: GraphBuilder, x: Value, *, start: int = 0, end: int | None = None) -> Value:
    """A constant."""
    return b.constant(torch.tensor(x.shape[start:end], dtype=torch.int64))


@maps("Reshape")
def reshape(b: GraphBuilder, x: Value, shape: Value, *, allowzero: int = 0) -> Value:
    """A Reshape; 0 keeps a length."""
    wanted = make.integers(shape, "the shape")
    if not allowzero:
        wanted = [x.shape[axis] if length == 0 else length for axis, length in enumerate(wanted)]
    return make.reshape(b, x, tuple(wanted))


@maps("Flatten")
def flatten(b: GraphBuilder, x: Value, *, axis: int = 1) -> Value:
    """A Reshape to two axes."""
    rows = math.prod(x.shape[: axis if axis >= 0 else axis + len(x.shape)])
    return make.reshape(b, x, (rows, -1))


@maps("Transpose")
def transpose(b: GraphBuilder, x: Value, *, perm: Sequence[int] = ()) -> Value:
    """A Transpose."""
    return make.permute(b, x, tuple(perm) or tuple(reversed(range(len(x.shape)))))


@maps("Unsqueeze")
def unsqueeze(b: GraphBuilder, x: Value, axes: Value) -> Value:
    """A Reshape."""
    return make.unsqueeze(b, x, make.integers(axes, "axes"))


@maps("Squeeze")
def squeeze(b: GraphBuilder, x: Value, axes: Value | None = None) -> Value:
    """A Reshape."""
    return make.squeeze(b, x, None if axes is None else make.integers(axes, "axes"))


@maps("Slice")
def crop(
    b: GraphBuilder, x: Value, starts: Value, ends: Value, axes: Value | None = None, steps: Value | None = None
) -> Value:
    """A Slice for each axis."""
    bounds = zip(make.integers(starts, "starts"), make.integers(ends, "ends"), strict=True)
    pairs = list(bounds)
    given = list(range(len(pairs))) if axes is None else make.integers(axes, "axes")
    strides = [1] * len(pairs) if steps is None else make.integers(steps, "steps")
    for axis, (start, stop), step in zip(given, pairs, strides, strict=True):
        x = make.crop(b, x, axis, start, stop, step)
    return x


@maps("Split")
def split(
    b: GraphBuilder, x: Value, sizes: Value | None = None, *, axis: int = 0, num_outputs: int | None = None
) -> tuple[Value, ...]:
    """Slices."""
    length = x.shape[axis]
    if sizes is not None:
        return make.split(b, x, make.integers(sizes, "split"), axis)
    if num_outputs is None:
        raise UnsupportedError("the sizes of the parts must be given")
    part = -(-length // num_outputs)
    return make.split(b, x, [min(part, length - start) for start in range(0, length, part)], axis)


@maps("Gather")
def gather(b: GraphBuilder, x: Value, places: Value, *, axis: int = 0) -> Value:
    """An Embedding of a constant matrix, or Slices of places that are known."""
    return make.gather(b, x, axis, places)


@maps("Concat")
def concat(b: GraphBuilder, *parts: Value, axis: int) -> Value:
    """A Concat."""
    if len(parts) == 1:
        return parts[0]
    return b.apply(ops.Concat(axis=axis_of(axis, len(parts[0].shape))), *parts)


@maps("Expand")
def expand(b: GraphBuilder, x: Value, shape: Value) -> Value:
    """An Expand; each side may be the longer one."""
    wanted = make.integers(shape, "the shape")
    own = [1] * (len(wanted) - len(x.shape)) + list(x.shape)
    wanted = [1] * (len(own) - len(wanted)) + wanted
    return make.expand(b, x, [max(pair) for pair in zip(own, wanted, strict=True)])


@maps("Tile")
def tile(b: GraphBuilder, x: Value, repeats: Value) -> Value:
    """Reshapes around an Expand."""
    return make.repeat(b, x, make.integers(repeats, "repeats"))


@maps("DepthToSpace")
def depth_to_space(b: GraphBuilder, x: Value, *, blocksize: int, mode: str = "DCR") -> Value:
    """Reshapes around a Transpose."""
    batch, channels, rows, columns = x.shape
    outputs = channels // blocksize**2
    if mode == "CRD":
        apart, axes = (outputs, blocksize, blocksize), (0, 1, 4, 2, 5, 3)
    else:
        apart, axes = (blocksize, blocksize, outputs), (0, 3, 4, 1, 5, 2)
    moved = make.permute(b, make.reshape(b, x, (batch, *apart, rows, columns)), axes)
    return make.reshape(b, moved, (batch, outputs, rows * blocksize, columns * blocksize))
