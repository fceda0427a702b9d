"""A compressed convolution with everything in integers: what a CONV computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .convolution_geometry import ConvolutionGeometry
from .integer_weights import IntegerWeights, fixed_fields
from .layer_arithmetic import CompileError
from .reference import ActivationScale, Int8Array, Trace, conv_reference

if TYPE_CHECKING:  # compiling and running need no PyTorch
    from .quantize.layer import CompressedLayer


@dataclass(frozen=True, kw_only=True, eq=False)
class IntegerConvolution(IntegerWeights):
    """A convolution without groups. The positions of its weights are those of the kernel, row by row.

    Raises CompileError when the weights are not those of the kernel, or the biases or multipliers not of that kind.
    """

    geometry: ConvolutionGeometry

    def __post_init__(self) -> None:
        super().__post_init__()
        products = self.weight.shape[1]
        if products % self.positions:
            rule = f"weights of {products} products are not those of {self.positions} kernel positions"
            raise CompileError(self.name, rule)

    @property
    def positions(self) -> int:
        """Kernel height times width."""
        return self.geometry.positions

    @property
    def padding_value(self) -> int:
        """What all channels of a pixel outside the image are."""
        return self.input_scale.zero_point

    @property
    def kernel_weight(self) -> Int8Array:
        """int8 (N, kh, kw, K)."""
        return self.weight.reshape(self.out_channels, *self.geometry.kernel, self.in_channels)

    @classmethod
    def from_compressed(
        cls,
        layer: CompressedLayer,
        *,
        padding: tuple[int, int, int, int] | None = None,
        input_scale: ActivationScale | None = None,
        output_scale: ActivationScale | None = None,
        activation: str | None = None,
        exact_bias: bool = False,
    ) -> IntegerConvolution:
        """Fix the arithmetic of a compressed `Conv2d`; see `IntegerLayer.from_compressed`.

        `padding` is (top, bottom, left, right) instead of the layer's.
        Raises CompileError when a scale is given nowhere, or the layer or its numbers do not fit the core.
        """
        if layer.kind != "conv2d" or layer.groups != 1:
            rule = f"it must be a conv2d without groups, not a {layer.kind} with {layer.groups}"
            raise CompileError(layer.name, rule)
        height, width = layer.weight_shape[2:]
        try:
            geometry = ConvolutionGeometry(
                kernel=(height, width),
                stride=(layer.stride, layer.stride),
                padding=padding if padding is not None else (layer.padding,) * 4,
                dilation=(layer.dilation, layer.dilation),
            )
        except ValueError as error:
            raise CompileError(layer.name, str(error)) from error
        fields = fixed_fields(
            layer,
            input_scale=input_scale,
            output_scale=output_scale,
            activation=activation,
            exact_bias=exact_bias,
        )
        return cls(geometry=geometry, **fields)

    def reference(self, image: Int8Array) -> Trace:
        """What the core computes for an image, int8 (H, W, K): (OH, OW, N)."""
        return conv_reference(
            image,
            self.kernel_weight,
            self.bias,
            self.mantissa,
            self.exponent,
            geometry=self.geometry,
            padding_value=self.padding_value,
            zero_point=self.output_scale.zero_point,
            clamp_min=self.clamp_min,
            clamp_max=self.clamp_max,
        )
