"""Pooling, padding and resampling."""

from __future__ import annotations

from collections.abc import Sequence

from ssvq.network import operators as ops
from ssvq.network.errors import UnsupportedError
from ssvq.network.front import composition as make
from ssvq.network.front.builder import GraphBuilder, Value
from ssvq.network.front.composition_windows import average_pool, four, max_pool, nearest, pair
from ssvq.network.front.onnx_operations.table import maps


def padding_of(
    auto_pad: str, pads: Sequence[int], x: Value, kernel: ops.Pair, stride: ops.Pair, dilation: ops.Pair
) -> ops.Padding:
    """Padding at the four sides, by numbers or by a rule."""
    if auto_pad in ("NOTSET", "VALID"):
        top, left, bottom, right = tuple(pads) or (0, 0, 0, 0)
        return top, left, bottom, right
    if auto_pad not in ("SAME_UPPER", "SAME_LOWER"):
        raise UnsupportedError(f"auto_pad must be NOTSET, VALID, SAME_UPPER or SAME_LOWER, not {auto_pad}")
    less, more = [0, 0], [0, 0]
    for axis in (0, 1):
        length = x.shape[2 + axis]
        reach = (-(-length // stride[axis]) - 1) * stride[axis] + dilation[axis] * (kernel[axis] - 1) + 1
        missing = max(0, reach - length)
        less[axis], more[axis] = missing // 2, missing - missing // 2
    first, last = (less, more) if auto_pad == "SAME_UPPER" else (more, less)
    return first[0], first[1], last[0], last[1]


@maps("AveragePool")
def pool_average(
    b: GraphBuilder,
    x: Value,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: Sequence[int] = (),
    pads: Sequence[int] = (),
    strides: Sequence[int] = (),
) -> Value:
    """An AveragePool."""
    kernel, stride = pair(kernel_shape), pair(strides)
    _require_dense(dilations)
    padding = padding_of(auto_pad, pads, x, kernel, stride, (1, 1))
    return average_pool(b, x, kernel, stride, padding, counted=bool(count_include_pad), ceil=bool(ceil_mode))


@maps("MaxPool")
def pool_maximum(
    b: GraphBuilder,
    x: Value,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] = (),
    pads: Sequence[int] = (),
    storage_order: int = 0,
    strides: Sequence[int] = (),
) -> tuple[Value, ...]:
    """A MaxPool; nothing may use the indices."""
    kernel, stride = pair(kernel_shape), pair(strides)
    _require_dense(dilations)
    padding = padding_of(auto_pad, pads, x, kernel, stride, (1, 1))
    return (max_pool(b, x, kernel, stride, padding, ceil=bool(ceil_mode)),)


def _require_dense(dilations: Sequence[int]) -> None:
    if pair(dilations) != (1, 1):
        raise UnsupportedError(f"dilation of pooling must be 1, not {pair(dilations)}")


@maps("GlobalAveragePool")
def global_average(b: GraphBuilder, x: Value) -> Value:
    """An AveragePool."""
    return make.mean(b, x, range(2, len(x.shape)), keep=True)


@maps("GlobalMaxPool")
def global_maximum(b: GraphBuilder, x: Value) -> Value:
    """A MaxPool."""
    size = pair(x.shape[2:])
    return max_pool(b, x, size, size, four((0, 0)), ceil=False)


@maps("Pad")
def pad(
    b: GraphBuilder,
    x: Value,
    pads: Value,
    value: Value | None = None,
    axes: Value | None = None,
    *,
    mode: str = "constant",
) -> Value:
    """A Pad, and a Slice where it takes places away."""
    if mode != "constant":
        raise UnsupportedError(f"padding must be constant, not {mode}")
    rank = len(x.shape)
    given = make.integers(axes, "axes") if axes is not None else list(range(rank))
    numbers = make.integers(pads, "pads")
    before, after = [0] * rank, [0] * rank
    for place, axis in enumerate(given):
        before[axis], after[axis] = numbers[place], numbers[place + len(given)]
    filling = 0.0 if value is None else float(make.required_constant(value, "the value").item())
    return make.pad(b, x, before, after, filling)


@maps("Resize")
def resize(
    b: GraphBuilder,
    x: Value,
    roi: Value | None = None,
    scales: Value | None = None,
    sizes: Value | None = None,
    *,
    mode: str = "nearest",
    coordinate_transformation_mode: str = "half_pixel",
    nearest_mode: str = "round_prefer_floor",
    **_settings: object,
) -> Value:
    """Copies of rows and columns, where there are whole numbers of them."""
    if mode != "nearest" or coordinate_transformation_mode not in ("half_pixel", "asymmetric"):
        raise UnsupportedError("it is not in the operator set")
    if coordinate_transformation_mode == "asymmetric" and nearest_mode != "floor":
        raise UnsupportedError(f"places must be rounded down, not by {nearest_mode}")
    if sizes is not None:
        times = [new / own for new, own in zip(make.integers(sizes, "sizes"), x.shape, strict=True)]
    else:
        times = [float(n) for n in make.required_constant(scales, "scales").tolist()] if scales is not None else []
    if len(times) != 4 or times[:2] != [1, 1]:
        raise UnsupportedError(f"images must grow in rows and columns, not by {times}")
    return nearest(b, x, times[2:])
