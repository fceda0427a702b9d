"""Pooling and resampling."""

from __future__ import annotations

from collections.abc import Sequence

from ssvq.network.errors import UnsupportedError
from ssvq.network.front import composition as make
from ssvq.network.front.aten.table import maps
from ssvq.network.front.builder import GraphBuilder, Value
from ssvq.network.front.composition_windows import (
    adaptive_average_pool,
    average_pool,
    four,
    global_max_pool,
    max_pool,
    nearest,
    pair,
)


@maps("max_pool2d")
def max_pool2d(
    b: GraphBuilder,
    *,
    x: Value,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> Value:
    """A MaxPool."""
    if pair(dilation) != (1, 1):
        raise UnsupportedError(f"dilation of pooling must be 1, not {pair(dilation)}")
    kernel = pair(kernel_size)
    return max_pool(b, x, kernel, pair(stride or kernel), four(pair(padding)), ceil=ceil_mode)


@maps("max_pool2d_with_indices")
def max_pool2d_with_indices(b: GraphBuilder, **arguments: object) -> tuple[Value, ...]:
    """A MaxPool; nothing may use the indices."""
    return (max_pool2d(b, **arguments),)  # type: ignore[arg-type]


@maps("avg_pool2d")
def avg_pool2d(
    b: GraphBuilder,
    *,
    x: Value,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Value:
    """An AveragePool."""
    if divisor_override is not None:
        raise UnsupportedError(f"the divisor of pooling must be the window's, not {divisor_override}")
    kernel = pair(kernel_size)
    stride = pair(stride or kernel)
    return average_pool(b, x, kernel, stride, four(pair(padding)), counted=count_include_pad, ceil=ceil_mode)


@maps("adaptive_avg_pool2d", "_adaptive_avg_pool2d")
def adaptive_avg_pool2d(b: GraphBuilder, *, x: Value, output_size: Sequence[int]) -> Value:
    """An AveragePool, where the result's size divides the image's."""
    return adaptive_average_pool(b, x, pair(output_size))


@maps("amax")
def amax(b: GraphBuilder, *, x: Value, dim: Sequence[int], keepdim: bool) -> Value:
    """A MaxPool, where it is over the rows and columns of images."""
    return global_max_pool(b, x, dim, keep=keepdim)


@maps("upsample_nearest2d")
def upsample_nearest2d(
    b: GraphBuilder,
    *,
    x: Value,
    output_size: Sequence[int] | None,
    scale_factors: Sequence[float] | None = None,
    **_settings: object,
) -> Value:
    """Copies of rows and columns, where there are whole numbers of them."""
    if output_size is not None:
        return nearest(b, x, [new / own for new, own in zip(output_size, x.shape[2:], strict=True)])
    return nearest(b, x, scale_factors or ())


@maps("constant_pad_nd", "pad")
def pad(b: GraphBuilder, *, x: Value, pad: Sequence[int], value: float | None = None, mode: str = "constant") -> Value:
    """A Pad, and a Slice where it takes places away."""
    if mode != "constant":
        raise UnsupportedError(f"padding must be constant, not {mode}")
    before, after = [0] * len(x.shape), [0] * len(x.shape)
    for number in range(len(pad) // 2):
        before[-1 - number], after[-1 - number] = pad[2 * number : 2 * number + 2]
    return make.pad(b, x, before, after, float(value or 0))
