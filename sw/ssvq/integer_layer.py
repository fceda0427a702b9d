"""A compressed layer with everything in integers: what is compiled, and what the reference computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .integer_weights import IntegerWeights, fixed_fields
from .layer_arithmetic import CompileError
from .reference import ActivationScale, Int8Array, Trace, matmul_reference

if TYPE_CHECKING:  # compiling and running need no PyTorch
    from .quantize.layer import CompressedLayer

__all__ = ["CompileError", "IntegerLayer"]


@dataclass(frozen=True, kw_only=True, eq=False)
class IntegerLayer(IntegerWeights):
    """A matrix multiplication of N output and K input channels in the core's integer arithmetic.

    Raises CompileError when the biases or multipliers are not of that kind.
    """

    @property
    def positions(self) -> int:
        """1."""
        return 1

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
        _check_shape(layer)
        fields = fixed_fields(
            layer,
            input_scale=input_scale,
            output_scale=output_scale,
            activation=activation,
            exact_bias=exact_bias,
        )
        return cls(**fields)

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
