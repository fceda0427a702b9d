"""Small networks in integers, by hand: images through convolutions, pools and sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from ssvq.convolution_geometry import ConvolutionGeometry
from ssvq.integer_convolution import IntegerConvolution
from ssvq.integer_layer import IntegerLayer
from ssvq.network.integer.integer_network import (
    ImageStep,
    IntegerNetwork,
    LinearStep,
    NetworkInput,
    Step,
    StoredTensor,
    VectorStep,
)
from ssvq.network.integer.strided import Block, View
from ssvq.quantize.encode import encode
from ssvq.quantize.formats import QuantizeConfig, WeightFormat
from ssvq.reference import ActivationScale
from ssvq.vector_operation import VectorOperation
from ssvq.vector_scales import look_up, product, rescaled_sum
from ssvq.window_operation import WindowOperation
from ssvq.window_scales import average_pool, depthwise, max_pool

INT8 = QuantizeConfig(format=WeightFormat.INT8)


@dataclass
class ImageBuilder:
    """Adds steps; images are (height, width, channels) by name."""

    seed: int
    tensors: dict[str, StoredTensor] = field(default_factory=dict)
    sizes: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.generator = torch.Generator().manual_seed(self.seed)

    def scale(self) -> ActivationScale:
        return ActivationScale(scale=float(self.rng.uniform(0.05, 0.2)), zero_point=int(self.rng.integers(-20, 20)))

    def image(self, name: str, size: tuple[int, int, int], scale: ActivationScale | None = None) -> Block:
        height, width, channels = self.sizes[name] = size
        scale = scale if scale is not None else self.scale()
        tensor = StoredTensor(name=name, tokens=height * width, channels=channels, scale=scale)
        self.tensors[name] = tensor
        return Block(tensor=name, tokens=tensor.tokens, channels=channels)

    def block(self, name: str) -> Block:
        tensor = self.tensors[name]
        return Block(tensor=name, tokens=tensor.tokens, channels=tensor.channels)

    def windows(self, name: str, source: str, operation: IntegerConvolution | WindowOperation, channels: int) -> str:
        height, width, _ = self.sizes[source]
        rows, columns = operation.geometry.output_size(height, width)
        target = self.image(name, (rows, columns, channels), operation.output_scale)
        step = ImageStep(
            name=name,
            operation=operation,
            height=height,
            width=width,
            source=self.block(source),
            rows=(0, rows),
            target=target,
        )
        self.steps.append(step)
        return name

    def convolution(self, name: str, source: str, channels: int, kernel: int = 3, stride: int = 1) -> str:
        weight = torch.randn(channels, self.sizes[source][2], kernel, kernel, generator=self.generator)
        layer = replace(encode(weight, INT8, bias=torch.zeros(channels), name=name), stride=stride)
        scales = {"input_scale": self.tensors[source].scale, "output_scale": ActivationScale(scale=0.5, zero_point=3)}
        operation = IntegerConvolution.from_compressed(layer, padding=(kernel // 2,) * 4, **scales)
        return self.windows(name, source, operation, channels)

    def linear(self, name: str, source: str, channels: int) -> str:
        """A convolution of 1 x 1."""
        height, width, count = self.sizes[source]
        layer = encode(torch.randn(channels, count, generator=self.generator), INT8, bias=None, name=name)
        output_scale = ActivationScale(scale=0.4, zero_point=-2)
        made = IntegerLayer.from_compressed(
            layer, input_scale=self.tensors[source].scale, output_scale=output_scale, activation="none"
        )
        target = self.image(name, (height, width, channels), output_scale)
        self.steps.append(LinearStep(name=name, layer=made, source=self.block(source), target=target))
        return name

    def depthwise(self, name: str, source: str, kernel: int = 3, stride: int = 1) -> str:
        channels = self.sizes[source][2]
        operation = depthwise(
            name,
            weight=self.rng.integers(-127, 128, (channels, kernel, kernel)).astype(np.int8),
            weight_scale=0.01,
            geometry=ConvolutionGeometry(kernel=(kernel,) * 2, stride=(stride,) * 2, padding=(kernel // 2,) * 4),
            input_scale=self.tensors[source].scale,
            output_scale=ActivationScale(scale=0.7, zero_point=1),
        )
        return self.windows(name, source, operation, channels)

    def pool(self, name: str, source: str) -> str:
        geometry = ConvolutionGeometry(kernel=(2, 2), stride=(2, 2))
        scale = self.tensors[source].scale
        operation = max_pool(
            name, channels=self.sizes[source][2], geometry=geometry, input_scale=scale, output_scale=scale
        )
        return self.windows(name, source, operation, self.sizes[source][2])

    def mean(self, name: str, source: str) -> str:
        """Of the whole image."""
        height, width, channels = self.sizes[source]
        operation = average_pool(
            name,
            channels=channels,
            geometry=ConvolutionGeometry(kernel=(height, width)),
            input_scale=self.tensors[source].scale,
            output_scale=ActivationScale(scale=0.1),
        )
        return self.windows(name, source, operation, channels)

    def sum(self, name: str, first: str, second: str) -> str:
        output = ActivationScale(scale=0.8, zero_point=2)
        operation = rescaled_sum(
            name,
            channels=self.sizes[first][2],
            input_scale=self.tensors[first].scale,
            second_scale=self.tensors[second].scale,
            output_scale=output,
        )
        return self._vector(name, operation, (first, second), output)

    def gate(self, name: str, first: str, second: str) -> str:
        """The product of an image and one pixel."""
        output = ActivationScale(scale=0.6, zero_point=4)
        operation = product(
            name,
            channels=self.sizes[first][2],
            input_scale=self.tensors[first].scale,
            second_scale=self.tensors[second].scale,
            output_scale=output,
        )
        target = self.image(name, self.sizes[first], output)
        shared = replace(self.block(second), tokens=target.tokens, step=0)
        sources = self.block(first), shared
        self.steps.append(VectorStep(name=name, operation=operation, sources=sources, target=target))
        return name

    def function(self, name: str, source: str) -> str:
        """By a table."""
        output = ActivationScale(scale=0.3, zero_point=-1)
        operation = look_up(
            name,
            channels=self.sizes[source][2],
            function=np.abs,
            input_scale=self.tensors[source].scale,
            output_scale=output,
        )
        return self._vector(name, operation, (source,), output)

    def _vector(self, name: str, operation: VectorOperation, sources: tuple[str, ...], scale: ActivationScale) -> str:
        target = self.image(name, self.sizes[sources[0]], scale)
        blocks = tuple(self.block(source) for source in sources)
        self.steps.append(VectorStep(name=name, operation=operation, sources=blocks, target=target))
        return name

    def network(self, inputs: Mapping[str, tuple[int, int, int]], *outputs: str) -> IntegerNetwork:
        """With outputs as they are stored."""
        return IntegerNetwork(
            tensors=self.tensors,
            inputs=tuple(
                NetworkInput(name=name, tensor=name, shape=(1, size[2], *size[:2]), permutation=(0, 2, 3, 1))
                for name, size in inputs.items()
            ),
            steps=tuple(self.steps),
            outputs={name: View.whole(name, self.sizes[name]) for name in outputs},
            output_scales={name: self.tensors[name].scale for name in outputs},
        )
