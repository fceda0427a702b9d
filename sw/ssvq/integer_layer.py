"""A compressed layer with everything in integers: what is compiled, and what the reference computes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ssvq_gen.arithmetic import ACTIVATION_MAX, ACTIVATION_MIN, ArithmeticRangeError
from ssvq_gen.config import WeightFormat
from ssvq_gen.format import FIELD_BY_NAME, NARROW_BIAS_WIDTH

from .channel_parameters import channel_parameters, narrow_biases
from .reference import ActivationScale, Int8Array, Int64Array, Trace, matmul_reference

_ACTIVATIONS = ("none", "relu", "relu6")


if TYPE_CHECKING:  # compiling and running need no PyTorch
    from .quantize.layer import CompressedLayer


class CompileError(ValueError):
    """A layer cannot run on the core; `layer` and `rule` say which and why."""

    def __init__(self, layer: str, rule: str) -> None:
        super().__init__(f"layer {layer!r}: {rule}")
        self.layer = layer
        self.rule = rule


@dataclass(frozen=True, kw_only=True, eq=False)
class IntegerLayer:
    """A matrix multiplication of N output and K input channels in the core's integer arithmetic.

    weight : int8 (N, K), decoded
    codebook : int8 (codebook_size, vector_dim), or None for int8 weights
    indices : int64 (N, Kpad // vector_dim), or None for int8 weights
    signs : bool (N, Kpad), True is negative; SSVQ only
    bias : int64 (N,), within int32, the input's zero point folded in
    bias_shift : biases are int16 shifted left by this, and take 16 bits in the weight stream; None: they take 32
    mantissa, exponent : int64 (N,), the multiplier of each output channel
    shared_multiplier : all channels have the same one, and the weight stream holds none

    Raises CompileError when the biases or multipliers are not of that kind.
    """

    name: str
    weight_format: WeightFormat
    weight: Int8Array
    codebook_size: int = 256
    vector_dim: int = 1
    codebook: Int8Array | None = None
    indices: Int64Array | None = None
    signs: npt.NDArray[np.bool_] | None = None
    bias: Int64Array
    mantissa: Int64Array
    exponent: Int64Array
    bias_shift: int | None = None
    shared_multiplier: bool = False
    input_scale: ActivationScale
    output_scale: ActivationScale
    clamp_min: int = ACTIVATION_MIN
    clamp_max: int = ACTIVATION_MAX

    def __post_init__(self) -> None:
        if self.bias_shift is not None:
            self._check_narrow_biases(self.bias_shift)
        if self.shared_multiplier and not _all_equal(self.mantissa, self.exponent):
            raise CompileError(self.name, "a shared multiplier needs the same mantissa and exponent in all channels")

    def _check_narrow_biases(self, shift: int) -> None:
        low, high = FIELD_BY_NAME["bias_shift"].bounds
        if not low <= shift <= high:
            raise CompileError(self.name, f"bias_shift must be from {low} to {high}, not {shift}")
        limit = 1 << (NARROW_BIAS_WIDTH - 1)
        narrow = self.bias >> shift
        wrong = np.flatnonzero((narrow << shift != self.bias) | (narrow < -limit) | (narrow >= limit))
        if wrong.size:
            n = int(wrong[0])
            rule = f"output channel {n}: a bias must be int16 << {shift}, not {int(self.bias[n])}"
            raise CompileError(self.name, rule)

    @property
    def out_channels(self) -> int:
        """N."""
        return int(self.weight.shape[0])

    @property
    def in_channels(self) -> int:
        """K."""
        return int(self.weight.shape[1])

    @classmethod
    def from_compressed(
        cls,
        layer: CompressedLayer,
        *,
        input_scale: ActivationScale | None = None,
        output_scale: ActivationScale | None = None,
        activation: str | None = None,
        exact_bias: bool = False,
    ) -> IntegerLayer:
        """Fix a compressed layer's arithmetic for given input and output scales; None takes the layer's own.

        `activation` is "none", "relu" or "relu6" and becomes the output's clamp. Biases are rounded to narrow ones
        when that moves no output by more than `narrow_biases` allows, unless `exact_bias`.
        Raises CompileError when a scale is given nowhere, or the layer or its numbers do not fit the core.
        """
        weight_format = _supported_format(layer)
        _check_shape(layer)
        input_scale = _given_scale(layer.name, "input_scale", input_scale, layer.input_scale)
        output_scale = _given_scale(layer.name, "output_scale", output_scale, layer.output_scale)
        activation = layer.activation if activation is None else activation
        out_channels, in_channels = (int(n) for n in layer.weight_shape[:2])
        weight = np.asarray(layer.integer_weight(), dtype=np.int8).reshape(out_channels, in_channels)
        bias, mantissa, exponent = _parameters(layer, weight, input_scale, output_scale)
        sums_abs = np.abs(weight.astype(np.int64)).sum(axis=1)
        narrow = None if exact_bias else narrow_biases(bias, mantissa, exponent, weight_sums_abs=sums_abs)
        shift, bias = narrow if narrow is not None else (None, bias)
        clamp_min, clamp_max = _clamp(layer.name, activation, output_scale)
        return cls(
            name=layer.name,
            weight_format=weight_format,
            weight=weight,
            bias=bias,
            mantissa=mantissa,
            exponent=exponent,
            bias_shift=shift,
            shared_multiplier=_all_equal(mantissa, exponent),
            input_scale=input_scale,
            output_scale=output_scale,
            clamp_min=clamp_min,
            clamp_max=clamp_max,
            **_codes(layer, weight_format),
        )

    def select_channels(self, start: int, stop: int) -> IntegerLayer:
        """The same layer with output channels start .. stop - 1 only."""
        return replace(
            self,
            weight=self.weight[start:stop],
            indices=None if self.indices is None else self.indices[start:stop],
            signs=None if self.signs is None else self.signs[start:stop],
            bias=self.bias[start:stop],
            mantissa=self.mantissa[start:stop],
            exponent=self.exponent[start:stop],
        )

    def reference(self, x: Int8Array) -> Trace:
        """What the core computes for x, int8 (T, K)."""
        return matmul_reference(
            x,
            self.weight,
            self.bias,
            self.mantissa,
            self.exponent,
            zero_point=self.output_scale.zero_point,
            clamp_min=self.clamp_min,
            clamp_max=self.clamp_max,
        )


def _all_equal(*values: Int64Array) -> bool:
    """Whether each array is constant."""
    return all(bool((array == array[:1]).all()) for array in values)


def _given_scale(layer: str, field: str, given: ActivationScale | None, own: ActivationScale | None) -> ActivationScale:
    scale = own if given is None else given
    if scale is None:
        raise CompileError(layer, f"{field} must be given, the layer has none")
    return scale


def _supported_format(layer: CompressedLayer) -> WeightFormat:
    try:
        return WeightFormat[layer.format.value.upper()]
    except KeyError:
        known = ", ".join(f.name.lower() for f in WeightFormat)
        rule = f"format {layer.format.value} cannot run on the core, only {known}"
        raise CompileError(layer.name, rule) from None


def _check_shape(layer: CompressedLayer) -> None:
    if layer.kind == "linear":
        return
    kernel = layer.weight_shape[2:]
    if kernel != (1, 1):
        raise CompileError(layer.name, f"a convolution must have a 1x1 kernel, not {kernel[0]}x{kernel[1]}")
    for field, found, wanted in (
        ("stride", layer.stride, 1),
        ("padding", layer.padding, 0),
        ("groups", layer.groups, 1),
        ("output_padding", layer.output_padding, 0),
    ):
        if found != wanted:
            raise CompileError(layer.name, f"a convolution must have {field} {wanted}, not {found}")


def _codes(layer: CompressedLayer, weight_format: WeightFormat) -> dict[str, Any]:
    """Codebook, indices and signs; `CompressedLayer` has checked their shapes and ranges."""
    if weight_format is WeightFormat.INT8:
        return {}
    codes: dict[str, Any] = {
        "codebook_size": layer.codebook_size,
        "vector_dim": layer.vector_dim,
        "codebook": np.asarray(layer.codebook, dtype=np.int8),
        "indices": np.asarray(layer.indices, dtype=np.int64)[:, 0],
    }
    if weight_format is WeightFormat.SSVQ:
        codes["signs"] = np.asarray(layer.signs, dtype=np.bool_)[:, 0]
    return codes


def _parameters(
    layer: CompressedLayer, weight: Int8Array, input_scale: ActivationScale, output_scale: ActivationScale
) -> tuple[Int64Array, Int64Array, Int64Array]:
    channels, wide = weight.shape[0], weight.astype(np.int64)
    scale = np.broadcast_to(np.asarray(layer.scale, dtype=np.float64), (channels,))
    bias = np.zeros(channels) if layer.bias is None else np.asarray(layer.bias, dtype=np.float64)
    sums, sums_abs = wide.sum(axis=1), np.abs(wide).sum(axis=1)
    result = np.empty((3, channels), dtype=np.int64)
    for n in range(channels):
        try:
            result[:, n] = channel_parameters(
                bias=float(bias[n]),
                step=input_scale.scale * float(scale[n]),
                input_channels=weight.shape[1],
                weight_sum=int(sums[n]),
                weight_sum_abs=int(sums_abs[n]),
                input_scale=input_scale,
                output_scale=output_scale,
            )
        except ArithmeticRangeError as error:
            raise CompileError(layer.name, f"output channel {n}: {error}") from error
    return result[0], result[1], result[2]


def _clamp(name: str, activation: str, output_scale: ActivationScale) -> tuple[int, int]:
    if activation not in _ACTIVATIONS:
        raise CompileError(name, f"activation must be one of {', '.join(_ACTIVATIONS)}, not {activation!r}")
    low = ACTIVATION_MIN if activation == "none" else output_scale.zero_point
    high = int(output_scale.quantize(6.0)) if activation == "relu6" else ACTIVATION_MAX
    return low, high
