"""Operations that move values, and those that do nothing in evaluation."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ssvq.network import operators as ops
from ssvq.network.errors import UnsupportedError
from ssvq.network.front import composition as make
from ssvq.network.front.aten.table import maps
from ssvq.network.front.builder import GraphBuilder, Value
from ssvq.network.tensor_type import axis_of


@maps("dropout", "feature_dropout", "alpha_dropout")
def dropout(_b: GraphBuilder, *, x: Value, train: bool, p: float) -> Value:
    """Nothing, in evaluation."""
    if train and p > 0:
        raise UnsupportedError("it is random")
    return x


@maps("clone", "contiguous", "alias", "detach", "lift_fresh_copy")
def identity(_b: GraphBuilder, *, x: Value, **_settings: object) -> Value:
    """Nothing."""
    return x


@maps("view", "reshape", "_unsafe_view")
def view(b: GraphBuilder, *, x: Value, size: Sequence[int] | None = None, shape: Sequence[int] | None = None) -> Value:
    """A Reshape."""
    return make.reshape(b, x, tuple(size if size is not None else shape or ()))


@maps("view_as", "reshape_as")
def view_as(b: GraphBuilder, *, x: Value, y: Value) -> Value:
    """A Reshape."""
    return make.reshape(b, x, y.shape)


@maps("flatten")
def flatten(b: GraphBuilder, *, x: Value, start_dim: int, end_dim: int) -> Value:
    """A Reshape."""
    rank = max(1, len(x.shape))
    start, end = axis_of(start_dim, rank), axis_of(end_dim, rank)
    return make.reshape(b, x, (*x.shape[:start], -1, *x.shape[end + 1 :]))


@maps("unflatten")
def unflatten(b: GraphBuilder, *, x: Value, dim: int, sizes: Sequence[int]) -> Value:
    """A Reshape."""
    axis = axis_of(dim, len(x.shape))
    rest = 1
    for size in sizes:
        rest *= size if size != -1 else 1
    lengths = tuple(x.shape[axis] // rest if size == -1 else size for size in sizes)
    return make.reshape(b, x, (*x.shape[:axis], *lengths, *x.shape[axis + 1 :]))


@maps("unsqueeze")
def unsqueeze(b: GraphBuilder, *, x: Value, dim: int) -> Value:
    """A Reshape."""
    return make.unsqueeze(b, x, [dim])


@maps("squeeze")
def squeeze(b: GraphBuilder, *, x: Value, dim: int | Sequence[int] | None = None) -> Value:
    """A Reshape."""
    return make.squeeze(b, x, [dim] if isinstance(dim, int) else dim)


@maps("permute")
def permute(b: GraphBuilder, *, x: Value, dims: Sequence[int]) -> Value:
    """A Transpose."""
    return make.permute(b, x, dims)


@maps("transpose")
def transpose(b: GraphBuilder, *, x: Value, dim0: int, dim1: int) -> Value:
    """A Transpose."""
    return make.swap(b, x, dim0, dim1)


@maps("t", "numpy_T", "mT")
def turn(b: GraphBuilder, *, x: Value) -> Value:
    """A Transpose of the last two axes."""
    return make.swap(b, x, -2, -1) if len(x.shape) > 1 else x


@maps("select")
def select(b: GraphBuilder, *, x: Value, dim: int, index: int) -> Value:
    """A Slice and a Reshape."""
    return make.select(b, x, dim, index)


@maps("slice")
def crop(
    b: GraphBuilder, *, x: Value, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Value:
    """A Slice."""
    return make.crop(b, x, dim, 0 if start is None else start, sys.maxsize if end is None else end, step)


@maps("narrow")
def narrow(b: GraphBuilder, *, x: Value, dim: int, start: int, length: int) -> Value:
    """A Slice."""
    start = start % x.shape[dim]
    return make.crop(b, x, dim, start, start + length)


@maps("split", "split_with_sizes")
def split(
    b: GraphBuilder,
    *,
    x: Value,
    split_size: int | Sequence[int] | None = None,
    split_sizes: Sequence[int] | None = None,
    dim: int = 0,
) -> tuple[Value, ...]:
    """Slices."""
    sizes = split_sizes if split_sizes is not None else split_size
    if isinstance(sizes, int):
        length = x.shape[dim]
        sizes = [min(sizes, length - start) for start in range(0, length, sizes)]
    return make.split(b, x, sizes or (), dim)


@maps("chunk")
def chunk(b: GraphBuilder, *, x: Value, chunks: int, dim: int = 0) -> tuple[Value, ...]:
    """Slices."""
    return split(b, x=x, split_size=-(-x.shape[dim] // chunks), dim=dim)


@maps("unbind")
def unbind(b: GraphBuilder, *, x: Value, dim: int = 0) -> tuple[Value, ...]:
    """Slices, each with a Reshape."""
    return tuple(make.select(b, x, dim, index) for index in range(x.shape[dim]))


@maps("cat", "concat")
def cat(b: GraphBuilder, *, tensors: Sequence[Value], dim: int = 0) -> Value:
    """A Concat of those that are not empty."""
    filled = [tensor for tensor in tensors if 0 not in tensor.shape]
    if len(filled) == 1:
        return filled[0]
    return b.apply(ops.Concat(axis=axis_of(dim, len(filled[0].shape))), *filled)


@maps("stack")
def stack(b: GraphBuilder, *, tensors: Sequence[Value], dim: int = 0) -> Value:
    """Reshapes and a Concat."""
    axis = axis_of(dim, len(tensors[0].shape) + 1)
    return cat(b, tensors=[make.unsqueeze(b, tensor, [axis]) for tensor in tensors], dim=axis)


@maps("expand")
def expand(b: GraphBuilder, *, x: Value, size: Sequence[int], **_settings: object) -> Value:
    """An Expand."""
    return make.expand(b, x, size)


@maps("expand_as")
def expand_as(b: GraphBuilder, *, x: Value, y: Value) -> Value:
    """An Expand."""
    return make.expand(b, x, y.shape)


@maps("repeat")
def repeat(b: GraphBuilder, *, x: Value, repeats: Sequence[int]) -> Value:
    """Reshapes around an Expand."""
    return make.repeat(b, x, repeats)


@maps("repeat_interleave")
def repeat_interleave(
    b: GraphBuilder, *, x: Value, repeats: int | Value, dim: int | None = None, **_settings: object
) -> Value:
    """Reshapes around an Expand."""
    if isinstance(repeats, Value):
        raise UnsupportedError("the number of copies must be one number")
    x = make.reshape(b, x, (-1,)) if dim is None else x
    axis = axis_of(dim or 0, len(x.shape))
    shape = x.shape
    copies = make.expand(b, make.unsqueeze(b, x, [axis + 1]), (*shape[: axis + 1], repeats, *shape[axis + 1 :]))
    return make.reshape(b, copies, (*shape[:axis], shape[axis] * repeats, *shape[axis + 1 :]))


@maps("index_select")
def index_select(b: GraphBuilder, *, x: Value, dim: int, index: Value) -> Value:
    """A Slice, where the places are known and evenly spaced."""
    return make.gather(b, x, dim, index)


@maps("index")
def index(b: GraphBuilder, *, x: Value, indices: Sequence[Value | None]) -> Value:
    """An Embedding of a constant matrix, or a Slice, where the places of one axis are known and evenly spaced."""
    given = [(axis, places) for axis, places in enumerate(indices) if places is not None]
    if len(given) != 1:
        raise UnsupportedError(f"places must be of one axis, not of {len(given)}")
    return make.gather(b, x, *given[0])
