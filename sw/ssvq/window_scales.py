"""Pooling and depthwise convolutions from real scales: the integers that come nearest to what is wanted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ssvq_gen.format import Opcode

from .convolution_geometry import ConvolutionGeometry
from .fixed_point import fixed, largest_shift, ratio_of_scales, scaled_fields
from .layer_arithmetic import CompileError
from .reference import ActivationScale, FloatArray, Int8Array
from .window_operation import WindowOperation

if TYPE_CHECKING:  # compiling and running need no PyTorch
    from .quantize.layer import CompressedLayer

_ACTIVATION_RANGES = {"none": (-math.inf, math.inf), "relu": (0.0, math.inf), "relu6": (0.0, 6.0)}


def average_pool(
    name: str,
    *,
    channels: int,
    geometry: ConvolutionGeometry,
    input_scale: ActivationScale,
    output_scale: ActivationScale,
    count_include_pad: bool = True,
) -> WindowOperation:
    """The mean of each window, in which pixels outside the image count as zeros; any scale may have gains.

    An output is within ``1/2 + 255 n / 2**(shift + 1)`` steps of the real value, for n positions of the kernel.
    Raises CompileError when a ratio of scales is out of range, and for padding that is not to be counted: windows would
    have different divisors.
    """
    if not count_include_pad and any(geometry.padding):
        rule = f"count_include_pad must be True with padding {geometry.padding}: all windows have one divisor"
        raise CompileError(name, rule)
    return _pool(name, channels, geometry, input_scale, output_scale, largest=False)


def max_pool(
    name: str,
    *,
    channels: int,
    geometry: ConvolutionGeometry,
    input_scale: ActivationScale,
    output_scale: ActivationScale,
) -> WindowOperation:
    """The largest pixel of each window, in another scale. An output is within ``1/2 + 255 / 2**(shift + 1)`` steps.

    Raises CompileError when a ratio of scales is out of range, or a window may be outside the image as a whole.
    """
    top, bottom, left, right = geometry.padding
    reach = [(size - 1) * step for size, step in zip(geometry.kernel, geometry.dilation, strict=True)]
    if max(top, bottom) > reach[0] or max(left, right) > reach[1]:
        raise CompileError(name, f"padding {geometry.padding} has windows without a pixel of the image")
    return _pool(name, channels, geometry, input_scale, output_scale, largest=True)


def _pool(
    name: str,
    channels: int,
    geometry: ConvolutionGeometry,
    input_scale: ActivationScale,
    output_scale: ActivationScale,
    *,
    largest: bool,
) -> WindowOperation:
    ratio = ratio_of_scales(name, input_scale, output_scale, channels) / (1 if largest else geometry.positions)
    shift = largest_shift(name, ratio)
    return WindowOperation(
        name=name,
        opcode=Opcode.POOL,
        channels=channels,
        geometry=geometry,
        largest=largest,
        multiplier=fixed(ratio, shift),
        shift=shift,
        input_zero_point=input_scale.zero_point,
        zero_point=output_scale.zero_point,
        output_scale=output_scale,
    )


def depthwise(
    name: str,
    *,
    weight: Int8Array,
    weight_scale: float | Sequence[float] | FloatArray,
    bias: Sequence[float] | FloatArray | None = None,
    geometry: ConvolutionGeometry,
    input_scale: ActivationScale,
    output_scale: ActivationScale,
    clamp: tuple[float, float] = (-math.inf, math.inf),
) -> WindowOperation:
    """A convolution of each channel with its own kernel, clamped to a range of real values; any scale may have gains.

    An output is within ``1/2 + (255 * sum |w| + 1) / 2**(shift + 1)`` steps of the real value, for the integer weights.

    Args:
        name: of the operation.
        weight: int8 (C, kh, kw).
        weight_scale: what a step of the weights is, of all channels or of each.
        bias: real, of each channel.
        geometry: windows of the image, whose padding is zeros.
        input_scale: of the image.
        output_scale: of the output.
        clamp: bounds of the output, as real values.

    Raises CompileError when a ratio of scales or a bias is out of range, or the weights are not those of the kernel.
    """
    channels = len(weight)
    scales = np.asarray(weight_scale, dtype=np.float64)
    if scales.shape not in ((), (1,), (channels,)):
        raise CompileError(name, f"weight_scale must be one or {channels} values, not {scales.shape}")
    ratio = ratio_of_scales(name, input_scale, output_scale, channels) * (scales if scales.size > 1 else scales.item())
    biases = np.zeros(()) if bias is None else np.asarray(bias, dtype=np.float64) / output_scale.steps()
    return WindowOperation(
        opcode=Opcode.DEPTHWISE,
        geometry=geometry,
        weight=weight,
        input_zero_point=input_scale.zero_point,
        **scaled_fields(name, channels, ratio, biases, output_scale, clamp),
    )


def depthwise_from_compressed(
    layer: CompressedLayer,
    *,
    padding: tuple[int, int, int, int] | None = None,
    input_scale: ActivationScale | None = None,
    output_scale: ActivationScale | None = None,
    activation: str | None = None,
) -> WindowOperation:
    """A compressed depthwise `Conv2d`, of a format with integer weights. What is not given is the layer's.

    `padding` is (top, bottom, left, right).
    Raises CompileError when a scale is given nowhere, or the layer or its numbers do not fit the core.
    """
    channels, inputs, height, width = (*layer.weight_shape, 0, 0)[:4]
    if layer.kind != "conv2d" or layer.groups != channels or inputs != 1:
        rule = f"it must be a conv2d with a group for each channel, not a {layer.kind} with {layer.groups} groups"
        raise CompileError(layer.name, rule)
    inputs_scale = input_scale if input_scale is not None else layer.input_scale
    outputs_scale = output_scale if output_scale is not None else layer.output_scale
    if inputs_scale is None or outputs_scale is None:
        missing = "input_scale" if inputs_scale is None else "output_scale"
        raise CompileError(layer.name, f"{missing} must be given, the layer has none")
    function = activation if activation is not None else layer.activation
    if function not in _ACTIVATION_RANGES:
        known = ", ".join(_ACTIVATION_RANGES)
        raise CompileError(layer.name, f"activation must be one of {known}, not {function!r}")
    try:
        geometry = ConvolutionGeometry(
            kernel=(height, width),
            stride=(layer.stride, layer.stride),
            padding=padding if padding is not None else (layer.padding,) * 4,
            dilation=(layer.dilation, layer.dilation),
        )
    except ValueError as error:
        raise CompileError(layer.name, str(error)) from error
    clamp = _ACTIVATION_RANGES[function]
    return depthwise_of(layer, geometry, input_scale=inputs_scale, output_scale=outputs_scale, clamp=clamp)


def depthwise_of(
    layer: CompressedLayer,
    geometry: ConvolutionGeometry,
    *,
    input_scale: ActivationScale,
    output_scale: ActivationScale,
    clamp: tuple[float, float],
) -> WindowOperation:
    """A layer's integer weights, of a kernel for each channel, in windows of any geometry; see `depthwise`.

    Raises CompileError as that does, and for a format without integer weights.
    """
    try:
        weight = np.asarray(layer.integer_weight(), dtype=np.int8).reshape(-1, *geometry.kernel)
    except ValueError as error:
        raise CompileError(layer.name, str(error)) from error
    return depthwise(
        layer.name,
        weight=weight,
        weight_scale=np.asarray(layer.scale, dtype=np.float64),
        bias=None if layer.bias is None else np.asarray(layer.bias, dtype=np.float64),
        geometry=geometry,
        input_scale=input_scale,
        output_scale=output_scale,
        clamp=clamp,
    )
