"""Weights and channel parameters in integers: what is in a weight stream, whatever they are multiplied with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from ssvq_gen.arithmetic import ACTIVATION_MAX, ACTIVATION_MIN, ArithmeticRangeError, check_accumulator
from ssvq_gen.config import WeightFormat
from ssvq_gen.format import FIELD_BY_NAME
from ssvq_gen.stream_format import NARROW_BIAS_WIDTH

from .layer_arithmetic import CompileError, layer_arithmetic
from .reference import ActivationScale, Int8Array, Int64Array

if TYPE_CHECKING:  # compiling and running need no PyTorch
    from .quantize.layer import CompressedLayer


@dataclass(frozen=True, kw_only=True, eq=False)
class IntegerWeights(ABC):
    """Weights of N output channels and P kernel positions of K input channels, in the core's integer arithmetic.

    weight : int8 (N, P * K), decoded
    codebook : int8 (codebook_size, vector_dim), or None for int8 weights
    indices : int64 (N, P * Kpad // vector_dim), or None for int8 weights
    signs : bool (N, P * Kpad), True is negative; SSVQ only
    bias : int64 (N,), within int32, the input's zero point folded in
    bias_shift : biases are int16 shifted left by this, and take 16 bits in the weight stream; None: they take 32
    mantissa, exponent : int64 (N,), the multiplier of each output channel
    shared_multiplier : all channels have the same one, and the weight stream holds none

    Raises CompileError when the biases or multipliers are not of that kind, or a sum may leave the int32 accumulator.
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
        if self.shared_multiplier and not all_equal(self.mantissa, self.exponent):
            raise CompileError(self.name, "a shared multiplier needs the same mantissa and exponent in all channels")
        self._check_accumulators()

    def _check_accumulators(self) -> None:
        """For any activations: by the shape alone where that is enough, otherwise by each channel's weights."""
        products, biases = int(self.weight.shape[1]), np.abs(self.bias)
        try:
            check_accumulator(products, int(biases.max(initial=0)))
        except ArithmeticRangeError:
            sums = np.abs(self.weight.astype(np.int16)).sum(axis=1, dtype=np.int64)
            n = int(np.argmax(biases - ACTIVATION_MIN * sums))
            try:
                check_accumulator(products, int(self.bias[n]), int(sums[n]))
            except ArithmeticRangeError as error:
                raise CompileError(self.name, f"output channel {n}: {error}") from error

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
    @abstractmethod
    def positions(self) -> int:
        """P, kernel positions."""

    @property
    def out_channels(self) -> int:
        """N."""
        return int(self.weight.shape[0])

    @property
    def in_channels(self) -> int:
        """K, of one kernel position."""
        return int(self.weight.shape[1]) // self.positions

    def select_channels(self, start: int, stop: int) -> Self:
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


def fixed_fields(
    layer: CompressedLayer,
    *,
    input_scale: ActivationScale | None,
    output_scale: ActivationScale | None,
    activation: str | None,
    exact_bias: bool,
) -> dict[str, Any]:
    """Fields of `IntegerWeights` of a compressed layer, its arithmetic fixed for the scales, by default its own.

    Raises CompileError when a scale is given nowhere, or the layer or its numbers do not fit the core.
    """
    weight_format = _supported_format(layer)
    input_scale = _given_scale(layer.name, "input_scale", input_scale, layer.input_scale)
    output_scale = _given_scale(layer.name, "output_scale", output_scale, layer.output_scale)
    activation = layer.activation if activation is None else activation
    weight = np.asarray(layer.integer_weight(), dtype=np.int8).reshape(layer.weight_shape[0], -1)
    arithmetic = layer_arithmetic(
        layer, weight, input_scale, output_scale, activation=activation, exact_bias=exact_bias
    )
    return {
        "name": layer.name,
        "weight_format": weight_format,
        "weight": weight,
        "bias": arithmetic.bias,
        "mantissa": arithmetic.mantissa,
        "exponent": arithmetic.exponent,
        "bias_shift": arithmetic.bias_shift,
        "shared_multiplier": all_equal(arithmetic.mantissa, arithmetic.exponent),
        "input_scale": input_scale,
        "output_scale": output_scale,
        "clamp_min": arithmetic.clamp_min,
        "clamp_max": arithmetic.clamp_max,
        **_codes(layer, weight_format),
    }


def all_equal(*values: Int64Array) -> bool:
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


def _codes(layer: CompressedLayer, weight_format: WeightFormat) -> dict[str, Any]:
    """Codebook, indices and signs; `CompressedLayer` has checked their shapes and ranges."""
    if weight_format is WeightFormat.INT8:
        return {}
    channels = layer.weight_shape[0]
    codes: dict[str, Any] = {
        "codebook_size": layer.codebook_size,
        "vector_dim": layer.vector_dim,
        "codebook": np.asarray(layer.codebook, dtype=np.int8),
        "indices": np.asarray(layer.indices, dtype=np.int64).reshape(channels, -1),
    }
    if weight_format is WeightFormat.SSVQ:
        codes["signs"] = np.asarray(layer.signs, dtype=np.bool_).reshape(channels, -1)
    return codes
