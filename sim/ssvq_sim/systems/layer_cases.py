"""Random layers as plain data: everything follows from a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ssvq.integer_layer import IntegerLayer
from ssvq.integer_weights import IntegerWeights
from ssvq.reference import exact_matmul
from ssvq_gen.arithmetic import ACCUMULATOR_WIDTH, MANTISSA_MAX, encode_multiplier
from ssvq_gen.config import WeightFormat
from ssvq_gen.format import FIELD_BY_NAME
from ssvq_gen.stream_format import NARROW_BIAS_WIDTH

from .layers import random_layer

ACTIVATIONS = ("random", "edges", "minimum", "maximum")
WEIGHTS = ("random", "edges", "minimum", "maximum")
PARAMETERS = ("tuned", "random", "edges")
RECORDS = ("wide", "narrow", "shared", "small")
"""Records of channel parameters in the weight stream: with narrow biases, a shared multiplier, both."""
_FINE_PART = 0.5
_REACH = 90
_EDGES = np.array([-128, -127, -1, 0, 1, 126, 127], dtype=np.int8)
Weights = TypeVar("Weights", bound=IntegerWeights)
_CLAMPS = ((-128, 127), (-128, -128), (127, 127), (0, 0), (-1, 127), (-128, 0))


@dataclass(frozen=True, kw_only=True)
class LayerCase:
    """One layer and its input.

    `activations`, `weights` and `parameters` say which values are drawn, `records` how parameters are stored.
    """

    weight_format: str
    codebook_size: int
    vector_dim: int
    in_channels: int
    out_channels: int
    tokens: int
    activations: str
    weights: str
    parameters: str
    seed: int
    records: str = "wide"

    def build(self, name: str) -> tuple[IntegerLayer, npt.NDArray[np.int8]]:
        """The layer and its input, int8 (T, K)."""
        rng = np.random.default_rng(self.seed)
        layer = random_layer(rng, **self.choices(name))
        x = values_of(rng, self.activations, (self.tokens, self.in_channels))
        return self.withvalues_of(rng, layer, x), x

    def choices(self, name: str) -> dict[str, Any]:
        """Arguments of a random layer."""
        return {
            "weight_format": WeightFormat[self.weight_format.upper()],
            "out_channels": self.out_channels,
            "in_channels": self.in_channels,
            "codebook_size": self.codebook_size,
            "vector_dim": self.vector_dim,
            "name": name,
        }

    def withvalues_of(self, rng: np.random.Generator, layer: Weights, x: npt.NDArray[np.int8]) -> Weights:
        """The layer with the values that the case says; x is int8 (T, products of one output)."""
        layer = _with_weights(rng, layer, self.weights)
        if self.parameters == "edges":
            layer = _with_edge_parameters(rng, layer)
        elif self.parameters == "tuned":
            layer = _with_tuned_parameters(rng, layer, x)
        return _with_records(layer, self.records)


def values_of(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> npt.NDArray[np.int8]:
    """int8 of a shape; `kind` is one of `ACTIVATIONS`."""
    match kind:
        case "random":
            return rng.integers(-128, 128, shape, dtype=np.int8)
        case "edges":
            return rng.choice(_EDGES, shape)
        case "minimum":
            return np.full(shape, -128, dtype=np.int8)
        case "maximum":
            return np.full(shape, 127, dtype=np.int8)
    raise ValueError(f"values must be one of {', '.join(ACTIVATIONS)}, not {kind!r}")


def _with_weights(rng: np.random.Generator, layer: Weights, kind: str) -> Weights:
    """The layer with all weights of a kind; magnitudes of SSVQ are 127 and their signs make the difference."""
    if kind == "random":
        return layer
    if layer.codebook is None or layer.indices is None:
        return replace(layer, weight=values_of(rng, kind, layer.weight.shape))
    codebook = values_of(rng, kind, layer.codebook.shape)
    signs = layer.signs
    if layer.weight_format is WeightFormat.SSVQ:
        codebook = np.minimum(np.abs(codebook.astype(np.int16)), 127).astype(np.int8)
    if signs is not None and kind != "edges":
        signs = np.full(signs.shape, kind == "minimum")
    decoded = codebook[layer.indices].reshape(layer.out_channels, -1)
    weight = np.where(signs, -decoded, decoded) if signs is not None else decoded
    weight = weight.reshape(layer.out_channels, layer.positions, -1)[..., : layer.in_channels]
    return replace(layer, weight=weight.reshape(layer.out_channels, -1), codebook=codebook, signs=signs)


def _with_tuned_parameters(rng: np.random.Generator, layer: Weights, x: npt.NDArray[np.int8]) -> Weights:
    """Every channel either spreads its sums over int8, or shows those near one of them to the last bit."""
    sums = exact_matmul(x, layer.weight)
    centre = sums[rng.integers(x.shape[0], size=layer.out_channels), np.arange(layer.out_channels)]
    reach = np.maximum(np.abs(sums - centre).max(axis=0), 1)
    fine = rng.random(layer.out_channels) < _FINE_PART
    multipliers = np.where(fine, 1.0, np.minimum(_REACH / reach, 1.0))
    encoded = np.array([encode_multiplier(float(value)) for value in multipliers])
    return replace(
        layer,
        bias=rng.integers(-20, 21, layer.out_channels) - centre,
        mantissa=encoded[:, 0],
        exponent=encoded[:, 1],
        output_scale=replace(layer.output_scale, zero_point=int(rng.integers(-10, 11))),
    )


def _with_edge_parameters(rng: np.random.Generator, layer: Weights) -> Weights:
    """Biases up to the limit of int32, smallest and largest multipliers, narrow clamps."""
    channels = layer.out_channels
    room = (1 << (ACCUMULATOR_WIDTH - 1)) - 1 - 128 * np.abs(layer.weight.astype(np.int64)).sum(axis=1)
    clamp = _CLAMPS[rng.integers(len(_CLAMPS))]
    return replace(
        layer,
        bias=room * rng.choice(np.array([-1, 0, 1]), channels),
        mantissa=rng.choice(np.array([0, 1, MANTISSA_MAX - 1, MANTISSA_MAX]), channels),
        exponent=rng.choice(np.array([0, 1, 14, 15]), channels),
        output_scale=replace(layer.output_scale, zero_point=int(rng.choice(_EDGES))),
        clamp_min=clamp[0],
        clamp_max=clamp[1],
    )


def _with_records(layer: Weights, kind: str) -> Weights:
    """The layer with its biases cut to int16 at the smallest shift, and the multiplier of channel 0 in all."""
    if kind in ("narrow", "small"):
        limit = (1 << (NARROW_BIAS_WIDTH - 1)) - 1
        largest = int(np.abs(layer.bias).max())
        shift = min(max(0, largest.bit_length() - limit.bit_length()), FIELD_BY_NAME["bias_shift"].bounds[1])
        narrow = np.minimum(np.abs(layer.bias) >> shift, limit)
        layer = replace(layer, bias=np.sign(layer.bias) * narrow << shift, bias_shift=shift)
    if kind in ("shared", "small"):
        mantissa, exponent = (np.full_like(values, values[0]) for values in (layer.mantissa, layer.exponent))
        layer = replace(layer, mantissa=mantissa, exponent=exponent, shared_multiplier=True)
    return layer
