"""Layers with weights, products and norms."""

from __future__ import annotations

from collections.abc import Sequence

from ssvq.network import operators as ops
from ssvq.network.errors import UnsupportedError
from ssvq.network.front import composition as make
from ssvq.network.front.builder import GraphBuilder, Value
from ssvq.network.front.composition_windows import convolution, pair
from ssvq.network.front.onnx_operations.table import maps
from ssvq.network.front.onnx_operations.windows import padding_of


@maps("MatMul")
def matmul(b: GraphBuilder, x: Value, y: Value) -> Value:
    """A Linear with a constant matrix, otherwise a MatMul."""
    return make.matmul(b, x, y)


@maps("Gemm")
def gemm(
    b: GraphBuilder,
    x: Value,
    y: Value,
    bias: Value | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Value:
    """A Linear with constant weights, otherwise a MatMul and an Add."""
    x = make.swap(b, x, 0, 1) if transA else x
    is_vector = bias is None or (bias.constant is not None and len(bias.shape) == 1)
    if y.constant is not None and is_vector and alpha == beta == 1:
        return make.linear(b, x, y if transB else make.swap(b, y, 0, 1), bias)
    product = make.matmul(b, x, make.swap(b, y, 0, 1) if transB else y)
    product = product if alpha == 1 else make.multiply(b, product, alpha)
    if bias is None:
        return product
    return make.add(b, product, bias if beta == 1 else make.multiply(b, bias, beta))


@maps("Conv")
def conv(
    b: GraphBuilder,
    x: Value,
    weight: Value,
    bias: Value | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] = (),
    group: int = 1,
    kernel_shape: Sequence[int] = (),
    pads: Sequence[int] = (),
    strides: Sequence[int] = (),
) -> Value:
    """A Conv2d; one over sequences is one over images of a single row."""
    if len(weight.shape) == 3:
        before, after = tuple(pads) or (0, 0)
        row = conv(
            b,
            make.unsqueeze(b, x, [2]),
            make.unsqueeze(b, weight, [2]),
            bias,
            auto_pad=auto_pad,
            dilations=(1, *dilations) if dilations else (),
            group=group,
            pads=(0, before, 0, after),
            strides=(1, *strides) if strides else (),
        )
        return make.squeeze(b, row, [2])
    stride, dilation = pair(strides), pair(dilations)
    padding = padding_of(auto_pad, pads, x, pair(weight.shape[2:]), stride, dilation)
    return convolution(b, x, weight, bias, ops.Conv2d(stride=stride, padding=padding, dilation=dilation, groups=group))


@maps("ConvTranspose")
def conv_transpose(
    b: GraphBuilder,
    x: Value,
    weight: Value,
    bias: Value | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] = (),
    group: int = 1,
    kernel_shape: Sequence[int] = (),
    output_padding: Sequence[int] = (),
    output_shape: Sequence[int] = (),
    pads: Sequence[int] = (),
    strides: Sequence[int] = (),
) -> Value:
    """A ConvTranspose2d."""
    if auto_pad != "NOTSET" or output_shape:
        raise UnsupportedError("its padding must be given by pads")
    top, left, bottom, right = tuple(pads) or (0, 0, 0, 0)
    operator = ops.ConvTranspose2d(
        stride=pair(strides),
        padding=(top, left, bottom, right),
        output_padding=pair(output_padding, 0),
        dilation=pair(dilations),
        groups=group,
    )
    return convolution(b, x, weight, bias, operator)


@maps("BatchNormalization")
def batch_norm(
    b: GraphBuilder,
    x: Value,
    weight: Value,
    bias: Value,
    mean: Value,
    variance: Value,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
) -> Value:
    """A ScaleShift, that a pass folds into the layer before it."""
    if training_mode:
        raise UnsupportedError("a batch norm must have running statistics")
    return make.scale_shift(b, x, mean=mean, variance=variance, terms=(weight, bias), epsilon=epsilon)


@maps("LayerNormalization")
def layer_norm(
    b: GraphBuilder,
    x: Value,
    weight: Value,
    bias: Value | None = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
) -> Value:
    """A LayerNorm."""
    axes = -axis if axis < 0 else len(x.shape) - axis
    return make.layer_norm(b, x, axes=axes, terms=(weight, bias), epsilon=epsilon)


@maps("InstanceNormalization")
def instance_norm(b: GraphBuilder, x: Value, weight: Value, bias: Value, *, epsilon: float = 1e-5) -> Value:
    """A LayerNorm of each channel, then a ScaleShift."""
    return make.group_norm(b, x, groups=x.shape[1], terms=(weight, bias), epsilon=epsilon)


@maps("GroupNormalization")
def group_norm(
    b: GraphBuilder,
    x: Value,
    weight: Value,
    bias: Value,
    *,
    num_groups: int,
    epsilon: float = 1e-5,
    **_settings: object,
) -> Value:
    """A LayerNorm of each group, then a ScaleShift."""
    if weight.shape != (x.shape[1],):  # before version 21 there is one number for each group
        raise UnsupportedError(f"weights must be for each of {x.shape[1]} channels, not of shape {weight.shape}")
    return make.group_norm(b, x, groups=num_groups, terms=(weight, bias), epsilon=epsilon)
