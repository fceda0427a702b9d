"""Layers with weights, products, norms and attention."""

from __future__ import annotations

from collections.abc import Sequence

from ssvq.network import operators as ops
from ssvq.network.errors import UnsupportedError
from ssvq.network.front import composition as make
from ssvq.network.front.aten.table import maps
from ssvq.network.front.builder import GraphBuilder, Value
from ssvq.network.front.composition_windows import convolution, four, pair, same_padding


@maps("linear")
def linear(b: GraphBuilder, *, x: Value, weight: Value, bias: Value | None) -> Value:
    """A Linear, or a MatMul with a weight that is computed."""
    return make.linear(b, x, weight, bias)


@maps("matmul", "mm", "bmm")
def matmul(b: GraphBuilder, *, x: Value, y: Value | None = None, mat2: Value | None = None) -> Value:
    """A Linear with a constant matrix, otherwise a MatMul."""
    second = y if y is not None else mat2
    if second is None:
        raise UnsupportedError("a product must have two operands")
    return make.matmul(b, x, second)


@maps("addmm", "baddbmm")
def addmm(b: GraphBuilder, *, x: Value, beta: float = 1, alpha: float = 1, **factors: Value) -> Value:
    """beta * x + alpha * (the product of two matrices)."""
    first, second = factors.values()  # mat1 and mat2, or batch1 and batch2
    product = make.matmul(b, first, second)
    product = product if alpha == 1 else make.multiply(b, product, alpha)
    return make.add(b, product, x if beta == 1 else make.multiply(b, x, beta))


@maps("conv2d", "conv1d")
def conv(
    b: GraphBuilder,
    *,
    x: Value,
    weight: Value,
    bias: Value | None,
    stride: Sequence[int],
    padding: Sequence[int] | str,
    dilation: Sequence[int],
    groups: int,
) -> Value:
    """A Conv2d; one over sequences is one over images of a single row."""
    if len(weight.shape) == 3:
        row = conv(
            b,
            x=make.unsqueeze(b, x, [2]),
            weight=make.unsqueeze(b, weight, [2]),
            bias=bias,
            stride=(1, *stride),
            padding=padding if isinstance(padding, str) else (0, *padding),
            dilation=(1, *dilation),
            groups=groups,
        )
        return make.squeeze(b, row, [2])
    if isinstance(padding, str):
        same = same_padding(weight.shape[2:], pair(dilation), at_the_end=True)
        sides = same if padding == "same" else four((0, 0))
    else:
        sides = four(pair(padding))
    operator = ops.Conv2d(stride=pair(stride), padding=sides, dilation=pair(dilation), groups=groups)
    return convolution(b, x, weight, bias, operator)


@maps("conv_transpose2d")
def conv_transpose2d(
    b: GraphBuilder,
    *,
    x: Value,
    weight: Value,
    bias: Value | None,
    stride: Sequence[int],
    padding: Sequence[int],
    output_padding: Sequence[int],
    groups: int,
    dilation: Sequence[int],
) -> Value:
    """A ConvTranspose2d."""
    operator = ops.ConvTranspose2d(
        stride=pair(stride),
        padding=four(pair(padding)),
        output_padding=pair(output_padding),
        dilation=pair(dilation),
        groups=groups,
    )
    return convolution(b, x, weight, bias, operator)


@maps("convolution")
def general_convolution(b: GraphBuilder, *, transposed: bool, output_padding: Sequence[int], **rest: object) -> Value:
    """The form that all convolutions take when they are decomposed."""
    if transposed:
        return conv_transpose2d(b, output_padding=output_padding, **rest)  # type: ignore[arg-type]
    return conv(b, **rest)  # type: ignore[arg-type]


@maps("batch_norm")
def batch_norm(
    b: GraphBuilder,
    *,
    x: Value,
    weight: Value | None,
    bias: Value | None,
    running_mean: Value | None,
    running_var: Value | None,
    eps: float,
    training: bool = False,
    **_settings: object,
) -> Value:
    """A ScaleShift, that a pass folds into the layer before it."""
    if training or running_mean is None or running_var is None:
        raise UnsupportedError("a batch norm must have running statistics")
    return make.scale_shift(b, x, mean=running_mean, variance=running_var, terms=(weight, bias), epsilon=eps)


@maps("_native_batch_norm_legit_no_training")
def native_batch_norm(b: GraphBuilder, **arguments: object) -> tuple[Value, ...]:
    """As batch_norm; nothing may use the statistics."""
    return (batch_norm(b, **arguments),)  # type: ignore[arg-type]


@maps("layer_norm")
def layer_norm(
    b: GraphBuilder,
    *,
    x: Value,
    normalized_shape: Sequence[int],
    weight: Value | None,
    bias: Value | None,
    eps: float,
    **_settings: object,
) -> Value:
    """A LayerNorm."""
    return make.layer_norm(b, x, axes=len(normalized_shape), terms=(weight, bias), epsilon=eps)


@maps("native_layer_norm")
def native_layer_norm(b: GraphBuilder, **arguments: object) -> tuple[Value, ...]:
    """A LayerNorm whose statistics are results, too; nothing may use them."""
    return (layer_norm(b, **arguments),)  # type: ignore[arg-type]


@maps("group_norm")
def group_norm(
    b: GraphBuilder, *, x: Value, num_groups: int, weight: Value | None, bias: Value | None, eps: float, **_s: object
) -> Value:
    """A LayerNorm of each group, then a ScaleShift."""
    return make.group_norm(b, x, groups=num_groups, terms=(weight, bias), epsilon=eps)


@maps("instance_norm")
def instance_norm(
    b: GraphBuilder,
    *,
    x: Value,
    weight: Value | None,
    bias: Value | None,
    use_input_stats: bool,
    eps: float,
    **_settings: object,
) -> Value:
    """A LayerNorm of each channel, then a ScaleShift."""
    if not use_input_stats:
        raise UnsupportedError("its statistics must be those of the input")
    return make.group_norm(b, x, groups=x.shape[1], terms=(weight, bias), epsilon=eps)


@maps("scaled_dot_product_attention")
def attention(
    b: GraphBuilder,
    *,
    query: Value,
    key: Value,
    value: Value,
    attn_mask: Value | None,
    is_causal: bool,
    scale: float | None,
    enable_gqa: bool,
    dropout_p: float,
) -> Value:
    """MatMul, Multiply, mask, Softmax, MatMul."""
    if dropout_p > 0:
        raise UnsupportedError("it is random")
    if enable_gqa:
        key, value = (make.repeat_heads(b, x, query.shape[-3] // x.shape[-3]) for x in (key, value))
    return make.attention(b, query, key, value, mask=attn_mask, causal=is_causal, scale=scale)


@maps("embedding")
def embedding(b: GraphBuilder, *, weight: Value, indices: Value, **_settings: object) -> Value:
    """An Embedding."""
    make.required_constant(weight, "weights of an embedding")
    return b.apply(ops.Embedding(), indices, weight)
