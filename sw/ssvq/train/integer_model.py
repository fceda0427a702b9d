"""Running a model whose compressed layers compute in the core's integers.

A layer keeps its module and thereby its geometry and its own `forward`, which is linear in input and weight; it gets
integer weights, its input arrives as integers, and the exact sums that it returns are requantized as by the core. What
is between the layers (norms, softmax, residual additions) is computed in float32 from dequantized int8 values.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from ssvq.layer_arithmetic import CompileError, layer_arithmetic
from ssvq.quantize.description import from_canonical, from_rows
from ssvq.quantize.layer import CompressedLayer
from ssvq.quantize.rules import LAYER_TYPES, ROOT_NAME
from ssvq.train.activations import activation_steps, step_limits
from ssvq.train.prepare import remove_form
from ssvq_gen.arithmetic import ACTIVATION_MAX, ACTIVATION_MIN, MIN_SHIFT

ARITHMETIC = "integer_arithmetic"
"""Name of the submodule that an integer layer gets."""
FLOAT32_EXACT = 1 << 24
"""Up to here float32 holds every integer, so that a sum of products is exact in any order."""


def integer_model(model: nn.Module, layers: Mapping[str, CompressedLayer]) -> nn.Module:
    """A copy of a model that runs the given layers in integers.

    Args:
        model: the float model, batch norms folded as when it was prepared, or the prepared model itself.
        layers: what `convert` or `ssvq.container.load` gives, by name.

    Returns:
        A model in evaluation mode, for inference only.

    Raises:
        ValueError: the model has no layer of a name, or its shape differs.
        CompileError: a layer has no activation scales, or its numbers do not fit the core's arithmetic.
    """
    result = copy.deepcopy(model).eval().requires_grad_(False)
    modules = {name or ROOT_NAME: module for name, module in result.named_modules()}
    for name, layer in layers.items():
        if name not in modules:
            raise ValueError(f"{type(model).__name__} has no layer {name!r}")
        _replace(modules[name], layer)
    return result


def _replace(module: nn.Module, layer: CompressedLayer) -> None:
    """Make a plain or prepared layer compute in integers."""
    if not isinstance(module, LAYER_TYPES):
        raise ValueError(f"{layer.name}: must be a linear or convolution layer, not {type(module).__name__}")
    remove_form(module)
    integers = layer.integer_weight()
    weight = from_canonical(from_rows(integers, layer.weight_shape), layer.kind, layer.groups)
    if weight.shape != module.weight.shape:
        raise ValueError(f"{layer.name}: must have shape {tuple(module.weight.shape)}, not {tuple(weight.shape)}")
    arithmetic = IntegerArithmetic(layer, channel_axis=-1 if isinstance(module, nn.Linear) else 1)
    module.weight = nn.Parameter(weight.to(arithmetic.dtype), requires_grad=False)
    module.bias = None
    module.register_module(ARITHMETIC, arithmetic.to(weight.device))
    module.register_forward_pre_hook(_to_integers)
    module.register_forward_hook(_requantize)


class IntegerArithmetic(nn.Module):
    """What a layer does around its exact sums.

    The module pads with zeros, so it sums `weight * (q - zero_point)`; the bias here is the one without the folded zero
    point, which gives the same integers as the core's.

    Args:
        layer: has activation scales.
        channel_axis: of the output.

    Members:
        dtype: floating type that holds every partial sum exactly.
    """

    bias: Tensor
    multiplier: Tensor
    input_step: Tensor
    output_step: Tensor

    def __init__(self, layer: CompressedLayer, *, channel_axis: int) -> None:
        super().__init__()
        if layer.input_scale is None or layer.output_scale is None:
            raise CompileError(layer.name, "has no activation scales: calibrate before converting")
        weight = layer.integer_weight().flatten(1).numpy()
        numbers = layer_arithmetic(layer, weight, layer.input_scale, layer.output_scale, activation=layer.activation)
        wide = weight.astype(np.int64)
        largest = int(np.abs(wide).sum(axis=1).max()) * (ACTIVATION_MAX - ACTIVATION_MIN)
        self.dtype = torch.float32 if largest <= FLOAT32_EXACT else torch.float64
        self.channel_axis = channel_axis
        self.limits = step_limits(layer.input_scale.zero_point)
        self.clamp = (numbers.clamp_min, numbers.clamp_max)
        self.output_scale = layer.output_scale
        bias = numbers.bias + layer.input_scale.zero_point * wide.sum(axis=1)
        multiplier = numbers.mantissa / np.exp2(numbers.exponent + MIN_SHIFT)
        self.register_buffer("output_step", torch.tensor(layer.output_scale.steps(), dtype=torch.float32).reshape(-1))
        self.register_buffer("bias", torch.from_numpy(bias).to(torch.float64))
        self.register_buffer("multiplier", torch.from_numpy(multiplier))
        self.register_buffer("input_step", torch.tensor([layer.input_scale.scale], dtype=torch.float32))

    def integers(self, x: Tensor) -> Tensor:
        """`q - zero_point` of real inputs, in `dtype`."""
        return activation_steps(x, self.input_step, self.limits).to(self.dtype)

    def outputs(self, sums: Tensor) -> Tensor:
        """int8 outputs of exact sums, as float64: what `ssvq_gen.arithmetic.requantize` gives.

        Every step is exact: bias and sum have 32 bits together, times 12 of the mantissa, and the multiplier's shift
        only changes float64's exponent. In integers the same took three times as long.
        """
        bias, multiplier = (self._by_channel(values, sums) for values in (self.bias, self.multiplier))
        rounded = (sums.to(torch.float64) + bias).mul_(multiplier).add_(0.5).floor_()
        return rounded.add_(self.output_scale.zero_point).clamp_(*self.clamp)

    def forward(self, sums: Tensor) -> Tensor:
        """Real outputs, float32, of exact sums."""
        steps = self.outputs(sums).sub_(self.output_scale.zero_point).to(torch.float32)
        return steps.mul_(self._by_channel(self.output_step, sums))

    def _by_channel(self, values: Tensor, sums: Tensor) -> Tensor:
        """Values of the channels, (N,) or (1,), to go with `sums`."""
        shape = [1] * sums.ndim
        shape[self.channel_axis] = -1
        return values.view(shape)


# Functions, not bound methods: a copied or unpickled layer then uses its own submodule.
def _to_integers(layer: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    arithmetic = cast(IntegerArithmetic, layer.get_submodule(ARITHMETIC))
    return (arithmetic.integers(arguments[0]), *arguments[1:])


def _requantize(layer: nn.Module, _arguments: tuple[Tensor, ...], sums: Tensor) -> Tensor:
    outputs: Tensor = layer.get_submodule(ARITHMETIC)(sums)
    return outputs
