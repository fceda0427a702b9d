"""What PyTorch and ONNX have as one operation and the operator set as several, or in another form.

These functions add nodes to a builder and return the result. They raise UnsupportedError or OperatorError where an
operation has no such form; what they have added until then is not used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ssvq.network import operators as ops
from ssvq.network.errors import UnsupportedError
from ssvq.network.front.builder import GraphBuilder, Value
from ssvq.network.tensor_type import Shape, axis_of

Number = int | float
Term = Value | Number


def as_value(b: GraphBuilder, term: Term) -> Value:
    """A number as a constant, a constant as float32, other values as they are."""
    if not isinstance(term, Value):
        return b.constant(torch.tensor(float(term)))
    if term.constant is not None and term.dtype != torch.float32:
        return b.constant(term.constant.to(torch.float32))
    return term


def required_constant(value: Value, what: str) -> Tensor:
    """The tensor of a constant."""
    if value.constant is None:
        raise UnsupportedError(f"{what} must be a constant")
    return value.constant


def integers(value: Value, what: str) -> list[int]:
    """The numbers of a constant."""
    return [int(number) for number in required_constant(value, what).flatten().tolist()]


def add(b: GraphBuilder, x: Term, y: Term) -> Value:
    """x + y; nothing where y is the number 0, with which Python's `sum` begins."""
    if not isinstance(y, Value) and y == 0 and (value := as_value(b, x)).dtype is torch.float32:
        return value
    return b.apply(ops.Add(), as_value(b, x), as_value(b, y))


def multiply(b: GraphBuilder, x: Term, y: Term) -> Value:
    """x * y."""
    return b.apply(ops.Multiply(), as_value(b, x), as_value(b, y))


def subtract(b: GraphBuilder, x: Term, y: Term) -> Value:
    """x - y."""
    return add(b, x, multiply(b, y, -1))


def divide(b: GraphBuilder, x: Term, y: Term) -> Value:
    """x / y."""
    if isinstance(y, Value) and y.constant is None:
        return multiply(b, x, b.apply(ops.Elementwise(function=ops.Function.RECIPROCAL), y))
    divisor = float(y) if not isinstance(y, Value) else required_constant(y, "a divisor").to(torch.float64)
    inverse = torch.as_tensor(1 / divisor).to(torch.float32)
    return multiply(b, x, b.constant(inverse))


def reshape(b: GraphBuilder, x: Value, shape: Shape) -> Value:
    """x with another shape, in which one length may be -1."""
    if -1 in shape:
        rest = math.prod(length for length in shape if length != -1)
        shape = tuple((math.prod(x.shape) // max(1, rest)) if length == -1 else length for length in shape)
    return x if shape == x.shape else b.apply(ops.Reshape(shape=shape), x)


def permute(b: GraphBuilder, x: Value, permutation: Sequence[int]) -> Value:
    """x with its axes in another order; they may count from the end."""
    axes = tuple(axis_of(axis, len(x.shape)) for axis in permutation)
    return x if axes == tuple(range(len(axes))) else b.apply(ops.Transpose(permutation=axes), x)


def swap(b: GraphBuilder, x: Value, first: int, second: int) -> Value:
    """x with two axes exchanged."""
    axes = list(range(len(x.shape)))
    axes[first], axes[second] = axes[second], axes[first]
    return permute(b, x, axes)


def crop(b: GraphBuilder, x: Value, axis: int, start: int, stop: int, step: int = 1) -> Value:
    """Places of an axis, with Python's rules for bounds that are negative or too large."""
    axis = axis_of(axis, len(x.shape))
    start, stop, step = slice(start, stop, step).indices(x.shape[axis])
    if (start, stop, step) == (0, x.shape[axis], 1):
        return x
    return b.apply(ops.Slice(axis=axis, start=start, stop=stop, step=step), x)


def select(b: GraphBuilder, x: Value, axis: int, index: int) -> Value:
    """One place of an axis, without the axis."""
    axis = axis_of(axis, len(x.shape))
    index %= x.shape[axis]
    return reshape(b, crop(b, x, axis, index, index + 1), x.shape[:axis] + x.shape[axis + 1 :])


def split(b: GraphBuilder, x: Value, sizes: Sequence[int], axis: int) -> tuple[Value, ...]:
    """x in parts along an axis."""
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    return tuple(crop(b, x, axis, start, start + size) for start, size in zip(starts, sizes, strict=True))


def gather(b: GraphBuilder, x: Value, axis: int, places: Value) -> Value:
    """Places of an axis, which a tensor of any shape gives: an Embedding, or Slices of places that are known."""
    axis = axis_of(axis, len(x.shape))
    if x.constant is not None and len(x.shape) == 2 and axis == 0 and x.dtype == torch.float32:
        return b.apply(ops.Embedding(), places, x)
    known = [place % x.shape[axis] for place in integers(places, "places")]
    runs = _runs(known)
    if not 0 < len(runs) <= RUNS_MAX:
        raise UnsupportedError(f"places must be in 1 to {RUNS_MAX} evenly spaced runs, not {len(runs)}")
    parts = [crop(b, x, axis, run.start, run.stop, run.step) for run in runs]
    found = parts[0] if len(parts) == 1 else b.apply(ops.Concat(axis=axis), *parts)
    return reshape(b, found, x.shape[:axis] + places.shape + x.shape[axis + 1 :])


RUNS_MAX = 8
"""More slices than these are worse than a gather on the host."""


def _runs(places: Sequence[int]) -> list[range]:
    """Rising, evenly spaced runs that the places fall into, as long as can be from the front."""
    runs: list[range] = []
    for place in places:
        last = runs[-1] if runs else range(0)
        if len(last) == 1 and place > last.start:
            runs[-1] = range(last.start, place + 1, place - last.start)
        elif len(last) > 1 and place == last[-1] + last.step:
            runs[-1] = range(last.start, place + 1, last.step)
        else:
            runs.append(range(place, place + 1))
    return runs


def expand(b: GraphBuilder, x: Value, shape: Sequence[int]) -> Value:
    """x broadcast to a shape; -1 keeps a length."""
    own = (1,) * (len(shape) - len(x.shape)) + x.shape
    wanted = tuple(own[axis] if length == -1 else length for axis, length in enumerate(shape))
    return x if wanted == x.shape else b.apply(ops.Expand(shape=wanted), x)


def repeat(b: GraphBuilder, x: Value, repeats: Sequence[int]) -> Value:
    """x as a whole, so many times along each axis; further axes come in front."""
    own = (1,) * (len(repeats) - len(x.shape)) + x.shape
    apart = tuple(number for length in own for number in (1, length))
    many = tuple(number for pair in zip(repeats, own, strict=True) for number in pair)
    copies = expand(b, reshape(b, x, apart), many)
    return reshape(b, copies, tuple(times * length for times, length in zip(repeats, own, strict=True)))


def pad(b: GraphBuilder, x: Value, before: Sequence[int], after: Sequence[int], value: float) -> Value:
    """Places around x, or fewer of them where a number is negative."""
    for axis, (first, last) in enumerate(zip(before, after, strict=True)):
        x = crop(b, x, axis, max(0, -first), x.shape[axis] - max(0, -last))
    more = [tuple(max(0, number) for number in side) for side in (before, after)]
    if not any(more[0] + more[1]):
        return x
    return b.apply(ops.Pad(before=more[0], after=more[1], value=value), x)


def unsqueeze(b: GraphBuilder, x: Value, axes: Sequence[int]) -> Value:
    """x with axes of length 1, whose places are those in the result."""
    rank = len(x.shape) + len(axes)
    new = {axis_of(axis, rank) for axis in axes}
    lengths = iter(x.shape)
    return reshape(b, x, tuple(1 if axis in new else next(lengths) for axis in range(rank)))


def squeeze(b: GraphBuilder, x: Value, axes: Sequence[int] | None = None) -> Value:
    """x without those of the axes (of all without `axes`) that have the length 1."""
    rank = len(x.shape)
    chosen = set(range(rank)) if axes is None else {axis_of(axis, rank) for axis in axes}
    return reshape(b, x, tuple(n for axis, n in enumerate(x.shape) if n != 1 or axis not in chosen))


def mean(b: GraphBuilder, x: Value, axes: Sequence[int] | None, *, keep: bool) -> Value:
    """Mean along axes, of all without `axes` or with none in it."""
    rank = len(x.shape)
    chosen = sorted({axis_of(axis, rank) for axis in axes}) if axes else list(range(rank))
    result = b.apply(ops.Mean(axes=tuple(chosen)), x)
    return result if keep else squeeze(b, result, chosen)


def total(b: GraphBuilder, x: Value, axes: Sequence[int] | None, *, keep: bool) -> Value:
    """Sum along axes, as `mean`."""
    result = mean(b, x, axes, keep=keep)
    return multiply(b, result, math.prod(x.shape) // max(1, math.prod(result.shape)))


def clamp(b: GraphBuilder, x: Value, low: Number | None, high: Number | None) -> Value:
    """x within bounds; None is no bound."""
    bounds = (-math.inf if low is None else float(low), math.inf if high is None else float(high))
    return b.apply(ops.Clamp(low=bounds[0], high=bounds[1]), x)


def power(b: GraphBuilder, x: Value, exponent: Number) -> Value:
    """x to the power of a number."""
    known = {-1: ops.Function.RECIPROCAL, 0.5: ops.Function.SQRT, -0.5: ops.Function.RECIPROCAL_SQRT}
    if exponent == 1:
        return x
    if exponent in known:
        return b.apply(ops.Elementwise(function=known[exponent]), x)
    return b.apply(ops.Elementwise(function=ops.Function.POWER, parameter=float(exponent)), x)


def matmul(b: GraphBuilder, x: Value, y: Value) -> Value:
    """The product x @ y; a Linear where y is a constant matrix."""
    if y.constant is not None and len(y.shape) == 2 and x.constant is None:
        name = None if b.module is None else f"{b.module}.weight"
        return linear(b, x, b.constant(y.constant.T.contiguous(), name), None)
    return b.apply(ops.MatMul(), x, y)


def linear(b: GraphBuilder, x: Value, weight: Value, bias: Value | None) -> Value:
    """x times the transposed weight, plus bias; a MatMul where the weight is no constant."""
    if weight.constant is None or (bias is not None and bias.constant is None):
        product = b.apply(ops.MatMul(), x, swap(b, weight, 0, 1))
        return product if bias is None else add(b, product, bias)
    return b.apply(ops.Linear(), x, weight, *(() if bias is None else (bias,)))


def scale_shift(b: GraphBuilder, x: Value, *, mean: Value, variance: Value, terms: Scaling, epsilon: float) -> Value:
    """What a batch norm does in evaluation: a ScaleShift of axis 1."""
    wide = [required_constant(value, "statistics of a batch norm").to(torch.float64) for value in (mean, variance)]
    weight, bias = (None if term is None else required_constant(term, "weights of a batch norm") for term in terms)
    gain = (wide[1] + epsilon).rsqrt()
    gain = gain if weight is None else gain * weight
    shift = -wide[0] * gain if bias is None else bias - wide[0] * gain
    prefix = f"{b.scope}.".lstrip(".")
    constants = (
        b.constant(tensor.to(torch.float32), f"{prefix}{name}") for name, tensor in (("scale", gain), ("shift", shift))
    )
    return b.apply(ops.ScaleShift(axis=1), x, *constants)


Scaling = tuple[Value | None, Value | None]
"""Weight and bias of a norm, where it has them."""


def layer_norm(b: GraphBuilder, x: Value, *, axes: int, terms: Scaling, epsilon: float) -> Value:
    """Norm over the last `axes` axes, with weight and bias of their shape."""
    shape = x.shape[len(x.shape) - axes :]
    width = math.prod(shape)
    weight, bias = (
        b.constant(torch.full((width,), default)) if term is None else reshape(b, term, (width,))
        for term, default in zip(terms, (1.0, 0.0), strict=True)
    )
    flat = reshape(b, x, (*x.shape[: len(x.shape) - axes], width))
    return reshape(b, b.apply(ops.LayerNorm(epsilon=epsilon), flat, weight, bias), x.shape)


def group_norm(b: GraphBuilder, x: Value, *, groups: int, terms: Scaling, epsilon: float) -> Value:
    """Norm over each group of channels of x (B, C, ...), with weight and bias (C,)."""
    grouped = reshape(b, x, (x.shape[0], groups, -1))
    normed = reshape(b, layer_norm(b, grouped, axes=1, terms=(None, None), epsilon=epsilon), x.shape)
    zeros, ones = (b.constant(torch.full((x.shape[1],), value)) for value in (0.0, 1.0))
    weight, bias = terms
    return b.apply(ops.ScaleShift(axis=1), normed, ones if weight is None else weight, zeros if bias is None else bias)


def attention(
    b: GraphBuilder,
    query: Value,
    key: Value,
    value: Value,
    *,
    mask: Value | None,
    causal: bool,
    scale: float | None,
) -> Value:
    """softmax(query key^T * scale + mask) value; (..., T, E), (..., S, E) and (..., S, Ev) to (..., T, Ev).

    A bool mask, and a causal one, are the Softmax's second operand.
    """
    scores = matmul(b, query, swap(b, key, -2, -1))
    scores = multiply(b, scores, 1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    keep: list[Value] = []
    if causal:
        keep = [b.constant(torch.ones(scores.shape[-2:], dtype=torch.bool).tril())]
    if mask is not None and mask.dtype == torch.bool:
        keep = [mask]
    elif mask is not None:
        scores = add(b, scores, mask)
    return matmul(b, b.apply(ops.Softmax(axis=len(scores.shape) - 1), scores, *keep), value)


def repeat_heads(b: GraphBuilder, x: Value, times: int) -> Value:
    """Each head of x (..., heads, S, E) `times` times in a row: queries that share keys."""
    if times == 1:
        return x
    *batch, heads, length, width = x.shape
    copies = expand(b, unsqueeze(b, x, [-3]), (*batch, heads, times, length, width))
    return reshape(b, copies, (*batch, heads * times, length, width))
