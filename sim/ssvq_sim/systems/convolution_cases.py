"""Random convolutions as plain data: everything follows from a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ssvq.builder import ImageTensor, ProgramBuilder
from ssvq.convolution_geometry import ConvolutionGeometry, split_bands
from ssvq.integer_convolution import IntegerConvolution
from ssvq_gen.config import CoreConfig

from .layer_cases import LayerCase, values_of
from .layers import random_convolution


@dataclass(frozen=True, kw_only=True)
class ConvolutionCase:
    """A convolution and its image, `height` x `width`; `layer` is that of its channels and values, without `tokens`."""

    layer: LayerCase
    height: int
    width: int
    geometry: ConvolutionGeometry

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ConvolutionCase:
        """Inverse of `asdict`, through JSON."""
        geometry = ConvolutionGeometry(**{name: tuple(pair) for name, pair in data["geometry"].items()})
        return cls(**{**data, "layer": LayerCase(**data["layer"]), "geometry": geometry})

    def build(self, name: str) -> tuple[IntegerConvolution, npt.NDArray[np.int8]]:
        """The layer and its image, int8 (H, W, K)."""
        rng = np.random.default_rng(self.layer.seed)
        layer = random_convolution(rng, geometry=self.geometry, **self.layer.choices(name))
        image = values_of(rng, self.layer.activations, (self.height, self.width, layer.in_channels))
        windows = self.geometry.windows(image, layer.padding_value)
        x = windows.reshape(-1, layer.weight.shape[1])
        return self.layer.withvalues_of(rng, layer, x), image

    def images(self, config: CoreConfig) -> tuple[ImageTensor, ImageTensor]:
        """Input at the beginning of the activation memory, output behind it."""
        x = ImageTensor.packed(config, word=0, height=self.height, width=self.width, channels=self.layer.in_channels)
        height, width = self.geometry.output_size(self.height, self.width)
        end = x.tokens().end(config)
        y = ImageTensor.packed(config, word=end, height=height, width=width, channels=self.layer.out_channels)
        return x, y

    def fits(self, config: CoreConfig) -> bool:
        """Both images are in the activation memory at once."""
        return self.images(config)[1].tokens().end(config) <= config.activation_depth

    def add_to(self, builder: ProgramBuilder, config: CoreConfig, layer: IntegerConvolution) -> None:
        """LOAD, CONVs band by band, STORE."""
        x, y = self.images(config)
        builder.load(layer.name, x.tokens(), layer.input_scale)
        for band in split_bands(config, y.height, y.width):
            builder.convolution(layer, source=x, target=y, band=band)
        builder.store(layer.name, y.tokens(), layer.output_scale)
