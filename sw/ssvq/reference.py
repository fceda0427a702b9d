"""The integer reference: what the core computes, bit for bit, and how activations get their int8 values.

The rounding rule is `ssvq_gen.arithmetic.requantize` and nothing else; this module only applies it to arrays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ssvq_gen.arithmetic import ACCUMULATOR_WIDTH, ACTIVATION_MAX, ACTIVATION_MIN, ArithmeticRangeError, requantize

from .convolution_geometry import ConvolutionGeometry

Int8Array = npt.NDArray[np.int8]
Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.floating[Any]]

_LEVELS = ACTIVATION_MAX - ACTIVATION_MIN
_SMALLEST_SCALE = 1e-12


@dataclass(frozen=True, kw_only=True)
class ActivationScale:
    """Meaning of an int8 activation: ``real = step * (value - zero_point)``, ``step = float32(scale * gain)``.

    scale, zero_point : of the whole tensor
    gains : of each channel, the last axis; without any, ``step = scale``. Only what the host reads may have them: a
        layer sums over the channels of its input as they are. They cost the core nothing, whose multipliers are per
        channel.

    Raises ValueError when scale or a gain is not positive and finite, or the zero point is no int8.
    """

    scale: float
    zero_point: int = 0
    gains: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"scale must be positive and finite, not {self.scale!r}")
        if self.gains:
            for gain, step in zip(self.gains, self.steps().tolist(), strict=True):
                if not (math.isfinite(step) and step > 0):
                    raise ValueError(f"scale * gain must be positive and finite in float32, not {gain!r} * scale")
        if not ACTIVATION_MIN <= self.zero_point <= ACTIVATION_MAX:
            raise ValueError(f"zero_point must be from {ACTIVATION_MIN} to {ACTIVATION_MAX}, not {self.zero_point!r}")

    @classmethod
    def from_range(cls, low: float, high: float) -> ActivationScale:
        """The scale at which int8 covers [low, high]; the range is widened to hold zero, which is then exact.

        Raises ValueError for a range that is not finite or is reversed.
        """
        if not (math.isfinite(low) and math.isfinite(high)) or low > high:
            raise ValueError(f"an activation range must be finite and ascending, not [{low!r}, {high!r}]")
        low, high = min(low, 0.0), max(high, 0.0)
        scale = max((high - low) / _LEVELS, _SMALLEST_SCALE)
        zero_point = math.floor(ACTIVATION_MIN - low / scale + 0.5)
        return cls(scale=scale, zero_point=min(max(zero_point, ACTIVATION_MIN), ACTIVATION_MAX))

    @classmethod
    def from_values(cls, values: npt.ArrayLike) -> ActivationScale:
        """The scale of the values' minimum and maximum. Raises ValueError when there are none, or not finite."""
        array = np.asarray(values, dtype=np.float64)
        if array.size == 0:
            raise ValueError("an activation range needs at least one value")
        return cls.from_range(float(array.min()), float(array.max()))

    def quantize(self, values: npt.ArrayLike) -> Int8Array:
        """int8 of real values, rounded half up as the core does, saturating; any shape.

        Raises ValueError for values that are not a number, or do not have as many channels as there are gains.
        """
        scaled = np.floor(np.asarray(values, dtype=np.float64) / self.steps() + 0.5) + self.zero_point
        if np.isnan(scaled).any():
            raise ValueError("activations must be numbers, there is a NaN")
        return np.asarray(np.clip(scaled, ACTIVATION_MIN, ACTIVATION_MAX), dtype=np.int8)

    def dequantize(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Real values of int8 activations; any shape. Raises ValueError unless it has as many channels as gains."""
        return (self.steps() * (values.astype(np.float64) - self.zero_point)).astype(np.float32)

    def channel(self, number: int) -> ActivationScale:
        """The scale of one channel."""
        return replace(self, scale=float(self.steps()[number]), gains=()) if self.gains else self

    def steps(self) -> npt.NDArray[np.float64]:
        """Real value of one step, in float64: of every channel, (N,), or, without gains, of all, ()."""
        if not self.gains:
            return np.asarray(self.scale, dtype=np.float64)
        with np.errstate(over="ignore", under="ignore"):
            return (self.scale * np.asarray(self.gains, dtype=np.float64)).astype(np.float32).astype(np.float64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Trace:
    """A layer's result, stage by stage; (T, N), or of a convolution (OH, OW, N).

    accumulator : int32, exact sum of products, without bias
    output : int8, requantized
    """

    accumulator: Int32Array
    output: Int8Array


def _integers(name: str, values: npt.ArrayLike, shape: tuple[int, ...]) -> Int64Array:
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name} must be integers, not {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, not {array.shape}")
    return array.astype(np.int64)


def exact_matmul(x: Int8Array, weight: Int8Array) -> Int64Array:
    """``x @ weight.T`` of int8 (T, K) and (N, K), exact, as int64 (T, N).

    Computed by the float64 BLAS: a product of two int8 is at most 2**14 and float64 holds integers below 2**53, so
    sums of up to 2**39 products are exact in any order, and it is much faster than NumPy's integer matmul.

    Raises ValueError when the arguments are not int8 matrices with a common K.
    """
    for name, array in (("x", x), ("weight", weight)):
        if array.dtype != np.int8 or array.ndim != 2:
            raise ValueError(f"{name} must be an int8 matrix, not {array.dtype} of shape {array.shape}")
    if x.shape[1] != weight.shape[1]:
        raise ValueError(f"x has {x.shape[1]} input channels and weight has {weight.shape[1]}")
    return np.asarray(x.astype(np.float64) @ weight.astype(np.float64).T).astype(np.int64)


def matmul_reference(
    x: Int8Array,
    weight: Int8Array,
    bias: npt.ArrayLike,
    mantissa: npt.ArrayLike,
    exponent: npt.ArrayLike,
    *,
    zero_point: int,
    clamp_min: int = ACTIVATION_MIN,
    clamp_max: int = ACTIVATION_MAX,
) -> Trace:
    """The core's MATMUL: int8 x (T, K), int8 weight (N, K), bias / mantissa / exponent (N,).

    The input's zero point is already folded into the bias (`IntegerLayer`).
    Raises ValueError for wrong shapes or types, ArithmeticRangeError when a sum leaves int32.
    """
    sums = exact_matmul(x, weight)
    limit = 1 << (ACCUMULATOR_WIDTH - 1)
    if sums.size and (sums.max() >= limit or sums.min() < -limit):
        raise ArithmeticRangeError(f"an accumulator reaches {int(np.abs(sums).max())}, beyond int32")
    channels = (weight.shape[0],)
    output = requantize(
        sums,
        _integers("bias", bias, channels),
        _integers("mantissa", mantissa, channels),
        _integers("exponent", exponent, channels),
        zero_point,
        clamp_min,
        clamp_max,
    )
    return Trace(accumulator=sums.astype(np.int32), output=np.asarray(output).astype(np.int8))


def conv_reference(
    image: Int8Array,
    weight: Int8Array,
    bias: npt.ArrayLike,
    mantissa: npt.ArrayLike,
    exponent: npt.ArrayLike,
    *,
    geometry: ConvolutionGeometry,
    padding_value: int,
    zero_point: int,
    clamp_min: int = ACTIVATION_MIN,
    clamp_max: int = ACTIVATION_MAX,
) -> Trace:
    """The core's CONV: int8 image (H, W, C), int8 weight (N, kh, kw, C), bias / mantissa / exponent (N,).

    All channels of a padding pixel are `padding_value`, the input's zero point, which is folded into the bias.
    Raises ValueError for wrong shapes or types, ArithmeticRangeError when a sum leaves int32.
    """
    if image.dtype != np.int8 or image.ndim != 3:
        raise ValueError(f"image must be int8 (H, W, C), not {image.dtype} of shape {image.shape}")
    if weight.shape[1:] != (*geometry.kernel, image.shape[2]):
        kernel = ", ".join(str(n) for n in (*geometry.kernel, image.shape[2]))
        raise ValueError(f"weight must be (N, {kernel}), not of shape {weight.shape}")
    windows = geometry.windows(image, padding_value)
    size = windows.shape[:2]
    trace = matmul_reference(
        windows.reshape(size[0] * size[1], -1),
        weight.reshape(weight.shape[0], -1),
        bias,
        mantissa,
        exponent,
        zero_point=zero_point,
        clamp_min=clamp_min,
        clamp_max=clamp_max,
    )
    return Trace(accumulator=trace.accumulator.reshape(*size, -1), output=trace.output.reshape(*size, -1))
