"""One product alone: its inputs are on the core, its result stays there, and only then is it stored and compared."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ssvq.builder import ActivationTensor, ProgramBuilder
from ssvq.integer_layer import IntegerLayer
from ssvq.product import IntegerProduct
from ssvq.reference import ActivationScale, Int8Array
from ssvq_gen.config import CoreConfig

from .measurement import Step
from .network import join_heads, split_heads
from .placement import check_fits, odd_stride

_X, _Y = "input", "output"


def layer_steps(config: CoreConfig, layer: IntegerLayer, x: Int8Array) -> tuple[Step, ...]:
    """Load x, int8 (tokens, K); apply the layer, measured; store. Raises PlacementError."""
    source = ActivationTensor.packed(config, word=0, tokens=x.shape[0], channels=layer.in_channels)
    target = ActivationTensor.packed(config, word=source.end(config), tokens=x.shape[0], channels=layer.out_channels)
    check_fits(config, target.end(config))
    tensors = _Tensors(config)
    tensors.load(_X, source, layer.input_scale, x)
    tensors.store(_Y, target, layer.output_scale, layer.reference(x).output)
    builder = ProgramBuilder(config)
    builder.matmul(layer, source=source, target=target)
    return tensors.steps_around(builder)


def scores_steps(config: CoreConfig, product: IntegerProduct, query: Int8Array, key: Int8Array) -> tuple[Step, ...]:
    """Q K^T of all heads as one descriptor; int8 (heads, tokens, head_width) each. Raises PlacementError."""
    heads, tokens, width = query.shape
    both = np.concatenate([join_heads(query), join_heads(key)], axis=1)
    resident = _spread(config, 0, both)
    target = ActivationTensor(
        word=resident.end(config), tokens=tokens, channels=tokens, stride=odd_stride(config, tokens)
    )
    batch = tokens * target.stride
    tensors = _Tensors(config)
    tensors.load("queries and keys", resident, product.input_scale, both)
    for head, output in enumerate(product.reference(query, key)):
        tensors.store(f"{_Y} {head}", replace(target, word=target.word + head * batch), product.output_scale, output)
    check_fits(config, target.word + heads * batch)
    builder = ProgramBuilder(config)
    builder.product(
        product,
        source=resident.select_channels(config, 0, width),
        operand=resident.select_channels(config, heads * width, (heads + 1) * width),
        target=target,
        source_batch_stride=width // config.word_bytes,
        operand_batch_stride=width // config.word_bytes,
        target_batch_stride=batch,
    )
    return tensors.steps_around(builder)


def values_steps(config: CoreConfig, product: IntegerProduct, scores: Int8Array, value: Int8Array) -> tuple[Step, ...]:
    """A V of all heads as one descriptor; int8 (heads, tokens, tokens), (heads, tokens, head_width).

    Raises PlacementError.
    """
    heads, tokens, width = value.shape
    joined = join_heads(value)
    operand = _spread(config, 0, joined)
    source = _spread(config, operand.end(config), scores[0])
    batch = tokens * source.stride
    tensors = _Tensors(config)
    tensors.load("values", operand, product.operand_scale, joined)
    for head in range(heads):
        tensors.load(
            f"scores {head}", replace(source, word=source.word + head * batch), product.input_scale, scores[head]
        )
    target = _spread(config, source.word + heads * batch, joined)
    check_fits(config, target.end(config))
    tensors.store(_Y, target, product.output_scale, join_heads(product.reference(scores, value)))
    builder = ProgramBuilder(config)
    builder.product(
        product,
        source=source,
        operand=operand.select_channels(config, 0, width),
        target=target.select_channels(config, 0, width),
        source_batch_stride=batch,
        operand_batch_stride=width // config.word_bytes,
        target_batch_stride=width // config.word_bytes,
    )
    return tensors.steps_around(builder)


def attention_steps(
    config: CoreConfig, scores: IntegerProduct, values: IntegerProduct, qkv: Int8Array
) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """Both products of an attention, each alone; `qkv` is int8 (tokens, 3 * width). Raises PlacementError."""
    query, key, value = (split_heads(part, scores.batch_count) for part in np.split(qkv, 3, axis=1))
    weights = scores.reference(query, key)
    return scores_steps(config, scores, query, key), values_steps(config, values, weights, value)


def _spread(config: CoreConfig, word: int, tensor: Int8Array) -> ActivationTensor:
    tokens, channels = tensor.shape
    return ActivationTensor(word=word, tokens=tokens, channels=channels, stride=odd_stride(config, channels))


@dataclass
class _Tensors:
    """The programs before and after the measured one, with what they load and have to store."""

    config: CoreConfig
    inputs: dict[str, Int8Array] = field(default_factory=dict)
    outputs: dict[str, Int8Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._before, self._after = ProgramBuilder(self.config), ProgramBuilder(self.config)

    def load(self, name: str, tensor: ActivationTensor, scale: ActivationScale, values: Int8Array) -> None:
        self._before.load(name, tensor, scale)
        self.inputs[name] = values

    def store(self, name: str, tensor: ActivationTensor, scale: ActivationScale, values: Int8Array) -> None:
        # What an earlier run left there would be right without this one.
        self.load(f"{name} before", tensor, scale, ~values)
        self._after.store(name, tensor, scale)
        self.outputs[name] = values

    def steps_around(self, measured: ProgramBuilder) -> tuple[Step, ...]:
        return (
            Step(name="load", program=self._before.build(), inputs=self.inputs, expected={}),
            Step(name="product", program=measured.build(), inputs={}, expected={}, measured=True),
            Step(name="store", program=self._after.build(), inputs={}, expected=self.outputs),
        )
