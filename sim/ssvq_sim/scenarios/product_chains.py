"""PRODUCTs that follow each other closely, with operands that the one before still writes, and wide batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ssvq.activation_tensor import ActivationTensor
from ssvq.builder import ProgramBuilder
from ssvq.overlap import MATRIX_OPEN_MAX
from ssvq.reference import ActivationScale
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import Opcode

from ..systems.overlap_cases import spread_product
from ..systems.work import Work
from .modelled_job import modelled_job
from .scenario import JobScenario

_SCALE = ActivationScale(scale=0.1)
_TOKENS = (1, 2, 3, 8)
_STRIDE_BITS = range(2, 10)


def product_chains(config: CoreConfig) -> Iterator[JobScenario]:
    """A program of chains and one of batches."""
    yield _chains(config)
    yield _batches(config)


def _chains(config: CoreConfig) -> JobScenario:
    """Pairs: the output of a product of a few tokens is the operand of the next one, in both directions.

    Every product is begun while the one before is in hand: the core itself has to keep their order.
    """
    rng = np.random.default_rng(13)
    builder = ProgramBuilder(config)
    side = 2 * config.cols
    x = ActivationTensor.packed(config, word=0, tokens=side, channels=side)
    builder.load("x", x, _SCALE)
    end = x.end(config)

    def add(name: str, tokens: int, operand: ActivationTensor, *, transposed: bool) -> ActivationTensor:
        nonlocal end
        k, n = operand.tokens, operand.channels
        if transposed:
            k, n = n, k
        target = ActivationTensor.packed(config, word=end, tokens=tokens, channels=n)
        product = spread_product(name, (tokens, k, n), transposed=transposed)
        builder.product(product, source=replace(x, tokens=tokens, channels=k), operand=operand, target=target)
        end = target.end(config)
        return target

    for width in (config.cols, side):
        weights = replace(x, channels=width)
        for tokens in _TOKENS:
            for number, transposed in enumerate((False, True, True, False)):
                name = f"{width}, {tokens}, {number}"
                between = add(f"{name}, first", tokens, weights, transposed=False)
                add(f"{name}, second", _TOKENS[number], between, transposed=transposed)
    words = ActivationTensor(word=x.end(config), tokens=end - x.end(config), channels=config.word_bytes, stride=1)
    builder.store("outputs", words, _SCALE)
    inputs = {"x": rng.integers(-128, 128, (side, side), dtype=np.int8)}
    work = Work(program=builder.build(), inputs=inputs, expected={})
    for index, d in enumerate(work.program.descriptors()):
        if d["opcode"] == Opcode.PRODUCT:
            work = work.patched(index, matmuls_open=MATRIX_OPEN_MAX)
    return modelled_job(config, "chains of products", work.program, inputs)


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
