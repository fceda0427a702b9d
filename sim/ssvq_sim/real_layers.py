"""The layers of `make cosim`: parts of real pretrained networks with the activations of real text and a real photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ssvq.integer_layer import IntegerLayer
from ssvq.models import CapturedLayer
from ssvq.quantize import CompressedLayer, QuantizeConfig, WeightFormat, encode, sqnr_db
from ssvq.reference import ActivationScale, Int8Array

SENTENCES = (
    "The library opens at nine and closes shortly after sunset.",
    "She repaired the old radio with parts from a broken clock.",
    "Heavy rain delayed every train between the two cities.",
    "A good recipe tells you when to stop stirring.",
    "The committee postponed its decision until the figures were checked.",
    "Whales communicate over distances that no ship can see.",
    "He forgot his umbrella but remembered everybody's birthday.",
    "Solar panels on the roof power the pump in the garden.",
    "The novel begins with a letter that never arrives.",
    "Two engineers disagreed about the safest way to stop the turbine.",
    "Fresh bread sells out before most people are awake.",
    "Nobody noticed that the museum had moved the painting.",
)
MINILM_LAYERS = (
    "encoder.layer.0.attention.self.query",
    "encoder.layer.0.intermediate.dense",
    "encoder.layer.0.output.dense",
)
EFFICIENTNET_LAYERS = ("_blocks.10._expand_conv", "_blocks.10._project_conv")
"""At 14 x 14 pixels, 112 -> 672 and 672 -> 112 channels: all pixels of a photo are few enough to simulate."""


@dataclass(frozen=True, kw_only=True)
class FormatChoice:
    """A weight format of the comparison."""

    format: WeightFormat
    codebook_size: int | None = None
    vector_dim: int | None = None

    def __str__(self) -> str:
        if self.codebook_size is None:
            return self.format.value
        return f"{self.format.value} k={self.codebook_size} d={self.vector_dim}"


FORMATS = (
    FormatChoice(format=WeightFormat.SSVQ, codebook_size=16, vector_dim=8),
    FormatChoice(format=WeightFormat.SSVQ, codebook_size=256, vector_dim=8),
    FormatChoice(format=WeightFormat.VQ, codebook_size=256, vector_dim=8),
    FormatChoice(format=WeightFormat.VQ, codebook_size=64, vector_dim=4),
    FormatChoice(format=WeightFormat.INT8),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class RealLayer:
    """A layer with float32 weight and inputs, and the activation that follows: "none" or "relu6"."""

    captured: CapturedLayer
    activation: str


@dataclass(frozen=True, kw_only=True, eq=False)
class CosimCase:
    """A compressed layer, ready to run.

    x : int8 (tokens, K)
    sqnr_db : of the weights
    """

    name: str
    choice: FormatChoice
    layer: IntegerLayer
    x: Int8Array
    sqnr_db: float

    @property
    def weight_count(self) -> int:
        """Weights of the layer, without padding."""
        return self.layer.in_channels * self.layer.out_channels


def real_layers() -> list[RealLayer]:
    """The layers, in the order of the table. Raises MissingPackageError."""
    from ssvq.models.efficientnet import capture_convs, load_efficientnet_lite0, sample_photos
    from ssvq.models.minilm import capture_linears, load_minilm

    linears = capture_linears(load_minilm(), SENTENCES, MINILM_LAYERS)
    photos, _ = sample_photos(1)
    convs = capture_convs(load_efficientnet_lite0(), photos, EFFICIENTNET_LAYERS)
    layers = [RealLayer(captured=linears[name], activation="none") for name in MINILM_LAYERS]
    return layers + [
        RealLayer(captured=convs[name], activation="relu6" if name.endswith("_expand_conv") else "none")
        for name in EFFICIENTNET_LAYERS
    ]


def _float_output(layer: RealLayer) -> Tensor:
    captured = layer.captured
    y = captured.inputs @ captured.weight.flatten(1).T + captured.bias
    return y.clamp(0.0, 6.0) if layer.activation == "relu6" else y


def compress(layer: RealLayer, choice: FormatChoice) -> tuple[CompressedLayer, float]:
    """The layer's weights in a format, and their SQNR in dB."""
    config = QuantizeConfig(format=choice.format, codebook_size=choice.codebook_size, vector_dim=choice.vector_dim)
    captured = layer.captured
    compressed = encode(captured.weight, config, bias=captured.bias, name=captured.name)
    return compressed, sqnr_db(captured.weight, compressed.decode())


def make_case(layer: RealLayer, choice: FormatChoice) -> CosimCase:
    """Compress a layer and fix its integer arithmetic; scales are those of the float activations' range."""
    with torch.no_grad():
        compressed, sqnr = compress(layer, choice)
        input_scale = ActivationScale.from_values(layer.captured.inputs.numpy())
        output_scale = ActivationScale.from_values(_float_output(layer).numpy())
    integer = IntegerLayer.from_compressed(
        compressed, input_scale=input_scale, output_scale=output_scale, activation=layer.activation
    )
    x = input_scale.quantize(layer.captured.inputs.numpy())
    return CosimCase(name=layer.captured.name, choice=choice, layer=integer, x=x, sqnr_db=sqnr)


def runnable(choice: FormatChoice, formats: Sequence[str], max_codebook_size: int, max_vector_dim: int) -> bool:
    """Whether a core that was generated with these limits can decode the format."""
    if choice.format.value not in formats:
        return False
    return (choice.codebook_size or 0) <= max_codebook_size and (choice.vector_dim or 0) <= max_vector_dim
