"""A compressed layer with everything in integers: what is compiled, and what the reference computes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ssvq_gen.arithmetic import ACTIVATION_MAX, ACTIVATION_MIN
from ssvq_gen.config import WeightFormat
from ssvq_gen.format import FIELD_BY_NAME, NARROW_BIAS_WIDTH

from .layer_arithmetic import CompileError, layer_arithmetic
from .reference import ActivationScale, Int8Array, Int64Array, Trace, matmul_reference

if TYPE_CHECKING:  # compiling and running need no PyTorch
    from .quantize.layer import CompressedLayer


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
        arithmetic = layer_arithmetic(
            layer, weight, input_scale, output_scale, activation=activation, exact_bias=exact_bias
        )
        return cls(
            name=layer.name,
            weight_format=weight_format,
            weight=weight,
            bias=arithmetic.bias,
            mantissa=arithmetic.mantissa,
            exponent=arithmetic.exponent,
            bias_shift=arithmetic.bias_shift,
            shared_multiplier=_all_equal(arithmetic.mantissa, arithmetic.exponent),
            input_scale=input_scale,
            output_scale=output_scale,
            clamp_min=arithmetic.clamp_min,
            clamp_max=arithmetic.clamp_max,
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
