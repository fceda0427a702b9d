"""Convolutions and pooling as PyTorch and ONNX have them; as `composition`."""

from __future__ import annotations

from collections.abc import Sequence

from ssvq.network import operators as ops
from ssvq.network.errors import UnsupportedError
from ssvq.network.front.builder import GraphBuilder, Value
from ssvq.network.front.composition import expand, reshape, squeeze
from ssvq.network.operators.window import window_outputs


def pair(numbers: Sequence[int], default: int = 1) -> ops.Pair:
    """Two numbers out of one, two, or none at all."""
    values = tuple(numbers) or (default,)
    if len(values) > 2:
        raise UnsupportedError(f"windows must have two dimensions, not {len(values)}")
    return values[0], values[-1]


def four(padding: ops.Pair) -> ops.Padding:
    """The same padding at both sides."""
    return (*padding, *padding)


def same_padding(kernel: Sequence[int], dilation: ops.Pair, *, at_the_end: bool) -> ops.Padding:
    """Padding that keeps the size at a stride of 1; an odd place falls to the end or to the beginning."""
    sums = [step * (length - 1) for length, step in zip(kernel, dilation, strict=True)]
    less = [number // 2 for number in sums]
    more = [number - half for number, half in zip(sums, less, strict=True)]
    first, last = (less, more) if at_the_end else (more, less)
    return first[0], first[1], last[0], last[1]


def convolution(b: GraphBuilder, x: Value, weight: Value, bias: Value | None, operator: ops.Operator) -> Value:
    """A Conv2d or ConvTranspose2d; raises UnsupportedError where its weights are not constant."""
    if weight.constant is None or (bias is not None and bias.constant is None):
        raise UnsupportedError("weights of a convolution must be constants")
    return b.apply(operator, x, weight, *(() if bias is None else (bias,)))


def average_pool(
    b: GraphBuilder, x: Value, kernel: ops.Pair, stride: ops.Pair, padding: ops.Padding, *, counted: bool, ceil: bool
) -> Value:
    """An AveragePool."""
    if ceil and _ceil_padding(x, kernel, stride, padding) != padding:
        raise UnsupportedError("windows must not reach over the padded image, as ceil_mode has them")
    return b.apply(ops.AveragePool(kernel=kernel, stride=stride, padding=padding, count_padding=counted), x)


def max_pool(
    b: GraphBuilder, x: Value, kernel: ops.Pair, stride: ops.Pair, padding: ops.Padding, *, ceil: bool
) -> Value:
    """A MaxPool; windows that reach over the image pad it further."""
    padding = _ceil_padding(x, kernel, stride, padding) if ceil else padding
    return b.apply(ops.MaxPool(kernel=kernel, stride=stride, padding=padding), x)


def adaptive_average_pool(b: GraphBuilder, x: Value, size: ops.Pair) -> Value:
    """An AveragePool to a size that divides the image's."""
    rows, columns = x.shape[-2:]
    if rows % size[0] or columns % size[1]:
        raise UnsupportedError(f"the image {(rows, columns)} must be a multiple of the result {size}")
    kernel = (rows // size[0], columns // size[1])
    return b.apply(ops.AveragePool(kernel=kernel, stride=kernel), x)


def global_max_pool(b: GraphBuilder, x: Value, axes: Sequence[int], *, keep: bool) -> Value:
    """A MaxPool over the rows and columns of images, which the axes have to be."""
    if len(x.shape) != 4 or sorted(axis % 4 for axis in axes) != [2, 3]:
        raise UnsupportedError(f"a maximum must be over the last two axes of four, not over {tuple(axes)} of {x.shape}")
    size = (x.shape[2], x.shape[3])
    pooled = max_pool(b, x, size, size, four((0, 0)), ceil=False)
    return pooled if keep else squeeze(b, pooled, [2, 3])


def nearest(b: GraphBuilder, x: Value, times: Sequence[float]) -> Value:
    """Rows and columns of images, each a whole number of times in a row."""
    if len(times) != 2 or any(number != int(number) or number < 1 for number in times):
        raise UnsupportedError(f"images must grow by whole numbers, not by {tuple(times)}")
    (rows, columns), (down, across) = x.shape[2:], (int(number) for number in times)
    one = reshape(b, x, (*x.shape[:2], rows, 1, columns, 1))
    many = expand(b, one, (*x.shape[:2], rows, down, columns, across))
    return reshape(b, many, (*x.shape[:2], rows * down, columns * across))


def _ceil_padding(x: Value, kernel: ops.Pair, stride: ops.Pair, padding: ops.Padding) -> ops.Padding:
    """Padding with which the windows are those of PyTorch's ceil_mode: the last begins within the padded image."""
    fitting = window_outputs(x.shape[2:], kernel, stride, padding)
    more = [0, 0]
    for axis in (0, 1):
        reach = x.shape[2 + axis] + padding[axis]
        following = fitting[axis] * stride[axis]  # where the next window begins
        end = reach + padding[axis + 2]
        if following - stride[axis] + kernel[axis] < end and following < reach:
            more[axis] = following + kernel[axis] - end
    top, left, bottom, right = padding
    return top, left, bottom + more[0], right + more[1]
