"""A transformer of seeded integer layers, and what it computes: the reference of the whole job.

Products follow each other as their shapes allow, without what stands between them in a real network (normalisation,
softmax, GELU, residual additions): scores are requantized to 0..127 in place of a softmax. As nothing normalises the
real values, each product takes its input's integers with their zero point at a scale of `UNIT`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ssvq.integer_layer import IntegerLayer
from ssvq.product import IntegerProduct
from ssvq.reference import ActivationScale, Int8Array
from ssvq_gen.arithmetic import ACTIVATION_MAX

from ..real_layers import FormatChoice
from .layers import largest_sum, seeded_input, seeded_layer
from .shapes import Kind, ProductShape, Transformer

UNIT = 1 / 32
"""Real value of an activation step."""
_CLASS_TOKEN_SEED = 7
_CLASS_TOKEN_STEPS = 40


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """The products of a transformer block, in order."""

    qkv: IntegerLayer
    scores: IntegerProduct
    values: IntegerProduct
    proj: IntegerLayer
    fc1: IntegerLayer
    fc2: IntegerLayer

    def attend(self, x: Int8Array) -> Int8Array:
        """The first half: int8 (tokens, width) to the same."""
        return attend(self.scores, self.values, self.qkv.reference(x).output)

    def run(self, x: Int8Array) -> Int8Array:
        """int8 (tokens, width) to the same."""
        attention = self.attend(x)
        for layer in (self.proj, self.fc1, self.fc2):
            attention = layer.reference(attention).output
        return attention


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """All products of a transformer.

    class_token : int8 (1, width), in the scale of the patch embedding's output
    """

    shape: Transformer
    choice: FormatChoice
    patch: IntegerLayer
    class_token: Int8Array
    blocks: tuple[Block, ...]
    head: IntegerLayer

    def embed(self, image: Int8Array) -> Int8Array:
        """int8 (patches, patch_channels) to (tokens, width)."""
        return np.concatenate([self.class_token, self.patch.reference(image).output])

    def run(self, image: Int8Array) -> Int8Array:
        """int8 (patches, patch_channels) to logits, int8 (1, classes)."""
        x = self.embed(image)
        for block in self.blocks:
            x = block.run(x)
        return self.head.reference(x[:1]).output


def split_heads(tensor: Int8Array, heads: int) -> Int8Array:
    """(tokens, heads * width) to (heads, tokens, width)."""
    return np.ascontiguousarray(tensor.reshape(tensor.shape[0], heads, -1).transpose(1, 0, 2))


def join_heads(tensor: Int8Array) -> Int8Array:
    """Inverse of `split_heads`."""
    return np.ascontiguousarray(tensor.transpose(1, 0, 2).reshape(tensor.shape[1], -1))


def attend(scores: IntegerProduct, values: IntegerProduct, qkv: Int8Array) -> Int8Array:
    """Attention of queries, keys and values, int8 (tokens, 3 * width), to (tokens, width)."""
    query, key, value = (split_heads(part, scores.batch_count) for part in np.split(qkv, 3, axis=1))
    return join_heads(values.reference(scores.reference(query, key), value))


def fit_product(
    shape: ProductShape,
    x: Int8Array,
    operand: Int8Array,
    *,
    name: str,
) -> IntegerProduct:
    """The product whose largest sum, for these operands, just becomes 127; scores below zero become zero."""
    transposed = shape.kind is Kind.SCORES
    rows = operand if transposed else np.ascontiguousarray(operand.transpose(0, 2, 1))
    largest = max(largest_sum(*pair) for pair in zip(x, rows, strict=True))
    scale = ActivationScale(scale=UNIT)
    product = IntegerProduct.from_scales(
        name=name,
        tokens=shape.tokens,
        in_channels=shape.in_channels,
        out_channels=shape.out_channels,
        batch_count=shape.heads,
        transposed=transposed,
        input_scale=scale,
        operand_scale=scale,
        output_scale=ActivationScale(scale=scale.scale**2 * max(largest, 1) / ACTIVATION_MAX),
    )
    return replace(product, clamp_min=0) if transposed else product


def fit_attention(
    scores_shape: ProductShape, values_shape: ProductShape, qkv: Int8Array, *, name: str
) -> tuple[IntegerProduct, IntegerProduct]:
    """Both products of an attention whose queries, keys and values are `qkv`."""
    query, key, value = (split_heads(part, scores_shape.heads) for part in np.split(qkv, 3, axis=1))
    scores = fit_product(scores_shape, query, key, name=f"{name}scores")
    weights = scores.reference(query, key)
    values = fit_product(values_shape, weights, value, name=f"{name}values")
    return scores, values


def make_network(
    shape: Transformer, choice: FormatChoice, *, seed: int = 0, on_layer: Callable[[str], None] | None = None
) -> Network:
    """A network whose scales are fitted to the first image of `images`; the same weights in every format.

    on_layer : called with the name of each product as it is made
    """
    image, image_scale = seeded_input(seed, shape.patches, shape.patch_channels)
    number = 0

    def layer(
        product: ProductShape, x: Int8Array, scale: ActivationScale, prefix: str, *, symmetric: bool = False
    ) -> IntegerLayer:
        nonlocal number
        number += 1
        name = f"{prefix}{product.name}"
        if on_layer:
            on_layer(name)
        unit = replace(scale, scale=UNIT)
        return seeded_layer(product, choice, x, unit, seed=1000 * seed + number, name=name, symmetric=symmetric)

    patch = layer(shape.patch, image, image_scale, "")
    scale = patch.output_scale
    values = np.random.default_rng(_CLASS_TOKEN_SEED).normal(0.0, _CLASS_TOKEN_STEPS * scale.scale, (1, shape.width))
    class_token = scale.quantize(values)
    x = np.concatenate([class_token, patch.reference(image).output])
    blocks = []
    for index in range(shape.blocks):
        prefix = f"block{index}."
        qkv_shape, scores_shape, values_shape, proj_shape, fc1_shape, fc2_shape = shape.block
        qkv = layer(qkv_shape, x, scale, prefix, symmetric=True)
        keys = qkv.reference(x).output
        scores, mixed = fit_attention(scores_shape, values_shape, keys, name=prefix)
        x = attend(scores, mixed, keys)
        chain = []
        scale = mixed.output_scale
        for product in (proj_shape, fc1_shape, fc2_shape):
            chain.append(layer(product, x, scale, prefix))
            x, scale = chain[-1].reference(x).output, chain[-1].output_scale
        blocks.append(Block(qkv=qkv, scores=scores, values=mixed, proj=chain[0], fc1=chain[1], fc2=chain[2]))
    head = layer(shape.head, x[:1], scale, "")
    return Network(shape=shape, choice=choice, patch=patch, class_token=class_token, blocks=tuple(blocks), head=head)


def images(shape: Transformer, count: int, *, seed: int = 0) -> list[Int8Array]:
    """Different images, int8 (patches, patch_channels); the network's scales are fitted to the first."""
    return [seeded_input(seed + index, shape.patches, shape.patch_channels)[0] for index in range(count)]
