"""Integer layers for the measured products: real weights where there are any of that size, otherwise seeded ones.

Cycle counts do not depend on values, but every output is compared with the reference, so values have to be such that
an error shows: outputs are spread over int8. All formats have one scale a layer, which makes one multiplier for all
output channels, and the same biases: none of them is favoured by what rides the bus beside its weights.

Seeded weights are normal with a few outliers. The codebook is trained once, by the project's quantizer on a sample of
such weights, and each layer's codes are its best assignment to that codebook; training 50 codebooks of the same
distribution anew would take a minute and change nothing.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import torch
from torch import Tensor

from ssvq.integer_layer import IntegerLayer
from ssvq.models.minilm import capture_linears, load_minilm
from ssvq.quantize import CompressedLayer, QuantizeConfig, WeightFormat, assign, encode
from ssvq.reference import ActivationScale, Int8Array, Int64Array, exact_matmul
from ssvq_gen.arithmetic import ACTIVATION_MAX

from ..real_layers import SENTENCES, FormatChoice
from .shapes import ProductShape

SSVQ16 = FormatChoice(format=WeightFormat.SSVQ, codebook_size=16, vector_dim=8)
SSVQ256 = FormatChoice(format=WeightFormat.SSVQ, codebook_size=256, vector_dim=8)
INT8 = FormatChoice(format=WeightFormat.INT8)

GEMV_LAYERS = {"384x1536": "encoder.layer.0.intermediate.dense", "1536x384": "encoder.layer.0.output.dense"}
"""MiniLM's layers of the sizes in `GEMV`."""
OUTLIER_RATE = 1e-3
OUTLIER_FACTOR = 4.0
_SAMPLE_SHAPE = (256, 256)


def seeded_weight(generator: torch.Generator, out_channels: int, in_channels: int) -> Tensor:
    """float32 (N, K), normal with variance 1/K but for a few outliers."""
    shape = (out_channels, in_channels)
    weight = torch.randn(shape, generator=generator) / math.sqrt(in_channels)
    outlier = torch.rand(shape, generator=generator) < OUTLIER_RATE
    return torch.where(outlier, OUTLIER_FACTOR * weight, weight)


def quantize_config(choice: FormatChoice) -> QuantizeConfig:
    """The quantizer's settings: one scale for the layer."""
    return QuantizeConfig(
        format=choice.format, codebook_size=choice.codebook_size, vector_dim=choice.vector_dim, scale="layer"
    )


@functools.cache
def _sample(choice: FormatChoice) -> CompressedLayer:
    """The layer on whose weights the codebook of seeded layers is trained; its weights have variance 1."""
    rows, columns = _SAMPLE_SHAPE
    weight = seeded_weight(torch.Generator().manual_seed(0), rows, columns) * math.sqrt(columns)
    return encode(weight, quantize_config(choice))


def compress_seeded(weight: Tensor, bias: Tensor, choice: FormatChoice, name: str) -> CompressedLayer:
    """A seeded layer in a format."""
    if not choice.format.has_codebook:
        return encode(weight, quantize_config(choice), bias=bias, name=name)
    sample = _sample(choice)
    if sample.codebook is None:
        raise ValueError(f"format {choice} has no codebook")
    scale = sample.scale / math.sqrt(weight.shape[1])
    indices, signs = assign(weight, sample.codebook, scale, format=choice.format)
    return CompressedLayer(
        name=name,
        kind="linear",
        format=choice.format,
        weight_shape=tuple(weight.shape),
        codebook_size=choice.codebook_size,
        vector_dim=choice.vector_dim,
        codebook=sample.codebook,
        indices=indices,
        signs=signs,
        scale=scale,
        bias=bias,
    )


def fix_scales(
    compressed: CompressedLayer, x: Int8Array, input_scale: ActivationScale, *, symmetric: bool = False
) -> IntegerLayer:
    """The integer layer whose outputs for `x` just fill int8; around a zero point of 0 when it is `symmetric`."""
    real = input_scale.dequantize(x) @ compressed.decode().numpy().T
    if compressed.bias is not None:
        real = real + compressed.bias.numpy()
    output_scale = ActivationScale.from_values(real)
    if symmetric:
        output_scale = ActivationScale(scale=float(np.abs(real).max()) / ACTIVATION_MAX)
    return IntegerLayer.from_compressed(compressed, input_scale=input_scale, output_scale=output_scale)


def seeded_layer(
    shape: ProductShape,
    choice: FormatChoice,
    x: Int8Array,
    input_scale: ActivationScale,
    *,
    seed: int,
    name: str,
    symmetric: bool = False,
) -> IntegerLayer:
    """A layer of a shape, its scales fitted to `x`; the same weights and biases in every format."""
    generator = torch.Generator().manual_seed(seed)
    weight = seeded_weight(generator, shape.out_channels, shape.in_channels)
    # Of the order of the sums, so that an output channel with a wrong bias shows.
    spread = float(input_scale.dequantize(x).std())
    bias = 0.3 * spread * torch.randn(shape.out_channels, generator=generator)
    return fix_scales(compress_seeded(weight, bias, choice, name), x, input_scale, symmetric=symmetric)


def seeded_input(seed: int, tokens: int, channels: int) -> tuple[Int8Array, ActivationScale]:
    """Activations that fill int8, and their scale."""
    values = np.random.default_rng(seed).normal(0.2, 1.0, (tokens, channels))
    scale = ActivationScale.from_values(values)
    return scale.quantize(values), scale


@functools.cache
def _real_layers() -> dict[str, tuple[Tensor, Tensor, Tensor]]:
    """Weight, bias and inputs of `GEMV_LAYERS`. Raises MissingPackageError."""
    captured = capture_linears(load_minilm(), SENTENCES[:1], list(GEMV_LAYERS.values()))
    found = {name: captured[layer] for name, layer in GEMV_LAYERS.items()}
    return {name: (layer.weight, layer.bias, layer.inputs) for name, layer in found.items()}


def gemv_layer(shape: ProductShape, choice: FormatChoice) -> tuple[IntegerLayer, Int8Array]:
    """A layer of MiniLM, and int8 (1, K): the activations of one token of a sentence.

    Raises MissingPackageError.
    """
    weight, bias, inputs = _real_layers()[shape.name]
    compressed = encode(weight, quantize_config(choice), bias=bias, name=shape.name)
    input_scale = ActivationScale.from_values(inputs.numpy())
    x = input_scale.quantize(inputs.numpy()[: shape.tokens])
    return fix_scales(compressed, x, input_scale), x


def largest_sum(x: Int8Array, operand: Int8Array) -> int:
    """Largest magnitude in ``x @ operand.T``."""
    sums: Int64Array = exact_matmul(x, operand)
    return int(np.abs(sums).max())
