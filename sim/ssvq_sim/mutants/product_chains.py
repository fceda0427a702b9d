"""PRODUCTs that follow each other closely, with operands that the one before still writes, and wide batches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ssvq.activation_tensor import ActivationTensor
from ssvq.builder import ProgramBuilder
from ssvq.reference import ActivationScale
from ssvq_gen.config import CoreConfig

from ..systems.overlap_cases import spread_product
from .modelled_job import modelled_job
from .scenario import JobScenario

_SCALE = ActivationScale(scale=0.1)
_TOKENS = (1, 2, 5, 8)
_STRIDE_BITS = range(2, 10)


def product_chains(config: CoreConfig) -> Iterator[JobScenario]:
    """A program of chains and one of batches."""
    yield _chains(config)
    yield _batches(config)


def _chains(config: CoreConfig) -> JobScenario:
    """The activations of each product are the input, and its operand is the output before, in both directions."""
    rng = np.random.default_rng(13)
    builder = ProgramBuilder(config)
    side = config.cols
    x = ActivationTensor.packed(config, word=0, tokens=side, channels=side)
    builder.load("x", x, _SCALE)
    before, end = x, x.end(config)
    for tokens in _TOKENS:
        for number, transposed in enumerate((False, True, True, False)):
            # An operand needs all of its tokens, so that every second product has as many.
            count = side if number % 2 else tokens
            operand = x if before.tokens < side else before
            target = ActivationTensor.packed(config, word=end, tokens=count, channels=side)
            product = spread_product(f"{tokens}, {number}", (count, side, side), transposed=transposed)
            builder.product(product, source=x.select_tokens(0, count), operand=operand, target=target)
            before, end = target, target.end(config)
    outputs = ActivationTensor.packed(config, word=x.end(config), tokens=end - x.end(config), channels=side)
    builder.store("outputs", outputs, _SCALE)
    values = rng.integers(-128, 128, (side, side), dtype=np.int8)
    return modelled_job(config, "chains of products", builder.build(), {"x": values})


def _batches(config: CoreConfig) -> JobScenario:
    """Two products each, whose inputs, operands and outputs are a power of two of words apart."""
    rng = np.random.default_rng(14)
    builder = ProgramBuilder(config)
    side, word_bytes = config.cols, config.word_bytes
    everything = ActivationTensor.packed(config, word=0, tokens=config.activation_depth, channels=word_bytes)
    builder.load("all", everything, _SCALE)
    bits = list(_STRIDE_BITS)
    for number, bit in enumerate(bits):
        product = spread_product(f"2**{bit}", (1, side, side), transposed=bool(number % 2), batch_count=2)
        tensor = ActivationTensor.packed(config, word=number, tokens=1, channels=side)
        operand = ActivationTensor.packed(config, word=2 * number, tokens=side, channels=side)
        target = ActivationTensor.packed(
            config, word=config.activation_depth // 2 + 64 + number, tokens=1, channels=side
        )
        builder.product(
            product,
            source=tensor,
            operand=operand,
            target=target,
            source_batch_stride=1 << bit,
            operand_batch_stride=1 << bits[-1 - number],
            target_batch_stride=1 << bit,
        )
    builder.store("outputs", everything, _SCALE)
    values = rng.integers(-128, 128, (everything.tokens, everything.channels), dtype=np.int8)
    return modelled_job(config, "batches of products", builder.build(), {"all": values})
