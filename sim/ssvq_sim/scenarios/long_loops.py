"""Descriptors with more tiles, products and tokens than any layer has, all of few words: counters of many bits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from ssvq.activation_tensor import ActivationTensor
from ssvq.builder import ProgramBuilder
from ssvq.reference import ActivationScale
from ssvq.vector_operation import VectorOperation
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import Opcode
from ssvq_gen.vector_arithmetic import CHANNELS_MAX, SHIFTS

from ..systems.overlap_cases import spread_product
from ..systems.work import Work
from .modelled_job import modelled_job
from .scenario import JobScenario

_SCALE = ActivationScale(scale=0.1)
_COUNT = 0b101_0101_0110
"""Of each loop: neither short for its counter, nor a number with a bit for every one of it."""
_TOKENS = 0b1_0101_0101_0110
_LOOP = 1
"""The descriptor that is made long, behind the LOAD."""


def long_loops(config: CoreConfig) -> Iterator[JobScenario]:
    """One program for each loop."""
    yield from _products(config)
    yield from _sums(config)


def _products(config: CoreConfig) -> Iterator[JobScenario]:
    """The loops of a PRODUCT. Strides of zero lead to the same words again and again."""
    # The activations of a long sum are there as a whole, and so are the outputs of many columns.
    loops: dict[str, tuple[int, int, bool, Mapping[str, int]]] = {
        "tiles": (_COUNT, 1, False, {"k_tiles": _COUNT, "operand_stride": 0}),
        "columns": (1, _COUNT, True, {"n_tiles": _COUNT, "operand_stride": 0}),
        "products": (1, 1, False, {"batch_last": _COUNT - 1}),
    }
    side = config.cols
    for name, (words, outputs, transposed, changes) in loops.items():
        builder, x = _loaded(config, max(words, side))
        y = ActivationTensor.packed(config, word=x.end(config), tokens=outputs, channels=side)
        product = spread_product(name, (1, side, side), transposed=transposed)
        long = spread_product(name, (1, words * side, side), transposed=transposed)
        product = replace(product, mantissa=long.mantissa, exponent=long.exponent)
        operand, first = x.select_tokens(0, side), x.select_tokens(0, 1)
        builder.product(product, source=first, operand=operand, target=y.select_tokens(0, 1))
        builder.store("y", y, _SCALE)
        yield _scenario(config, f"long loop of {name}", builder, x, changes)


def _sums(config: CoreConfig) -> Iterator[JobScenario]:
    """A SUM of many tokens, of which the last one is seen, and one of as many channels as there may be."""
    width = config.word_bytes
    for name, channels, tokens in (("tokens", width, _TOKENS), ("channels", CHANNELS_MAX, 1)):
        builder, x = _loaded(config, channels // width)
        y = ActivationTensor.packed(config, word=x.end(config), tokens=1, channels=channels)
        operation = VectorOperation(
            name=name,
            opcode=Opcode.SUM,
            channels=channels,
            multiplier=np.asarray(1 << (SHIFTS[0] - 1)),
            shift=SHIFTS[0],
            zero_point=0,
            output_scale=_SCALE,
        )
        builder.vector(operation, source=replace(x, tokens=1, channels=channels), target=y)
        builder.store("y", y, _SCALE)
        changes = {"tokens": tokens, "input_stride": 0, "output_stride": 0}
        yield _scenario(config, f"long loop of {name}", builder, x, changes)


def _loaded(config: CoreConfig, words: int) -> tuple[ProgramBuilder, ActivationTensor]:
    """A program that begins with a LOAD of so many words."""
    builder = ProgramBuilder(config)
    x = ActivationTensor.packed(config, word=0, tokens=words, channels=config.word_bytes)
    builder.load("x", x, _SCALE)
    return builder, x


def _scenario(
    config: CoreConfig, name: str, builder: ProgramBuilder, x: ActivationTensor, changes: Mapping[str, int]
) -> JobScenario:
    """The program with other fields in the descriptor behind the LOAD."""
    rng = np.random.default_rng(len(name))
    inputs = {"x": rng.integers(-128, 128, (x.tokens, x.channels), dtype=np.int8)}
    work = Work(program=builder.build(), inputs=inputs, expected={}).patched(_LOOP, **changes)
    return modelled_job(config, name, work.program, inputs)
