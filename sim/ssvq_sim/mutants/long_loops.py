"""PRODUCTs with more tiles and products than any layer has, all of the same few words: counters of many bits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from ssvq.activation_tensor import ActivationTensor
from ssvq.builder import ProgramBuilder
from ssvq.reference import ActivationScale
from ssvq_gen.config import CoreConfig

from ..systems.overlap_cases import spread_product
from ..systems.work import Work
from .modelled_job import modelled_job
from .scenario import JobScenario

_SCALE = ActivationScale(scale=0.1)
_COUNT = 0b101_0101_0110
"""Of each loop: neither short for its counter, nor a number with a bit for every one of it."""
_PRODUCT = 1
"""Its descriptor, behind the LOAD."""


def long_loops(config: CoreConfig) -> Iterator[JobScenario]:
    """One program for each loop of a PRODUCT. Strides of zero lead to the same words again and again."""
    # The activations of a long sum are there as a whole, and so are the outputs of many columns.
    loops: dict[str, tuple[int, int, bool, Mapping[str, int]]] = {
        "tiles": (_COUNT, 1, False, {"k_tiles": _COUNT, "operand_stride": 0}),
        "columns": (1, _COUNT, True, {"n_tiles": _COUNT, "operand_stride": 0}),
        "products": (1, 1, False, {"batch_last": _COUNT - 1}),
    }
    side = config.cols
    for name, (words, outputs, transposed, changes) in loops.items():
        rng = np.random.default_rng(len(name))
        x = ActivationTensor.packed(config, word=0, tokens=max(words, side), channels=side)
        y = ActivationTensor.packed(config, word=x.end(config), tokens=outputs, channels=side)
        builder = ProgramBuilder(config)
        builder.load("x", x, _SCALE)
        product = spread_product(name, (1, side, side), transposed=transposed)
        long = spread_product(name, (1, words * side, side), transposed=transposed)
        product = replace(product, mantissa=long.mantissa, exponent=long.exponent)
        operand, first = x.select_tokens(0, side), x.select_tokens(0, 1)
        builder.product(product, source=first, operand=operand, target=y.select_tokens(0, 1))
        builder.store("y", y, _SCALE)
        inputs = {"x": rng.integers(-128, 128, (x.tokens, side), dtype=np.int8)}
        work = Work(program=builder.build(), inputs=inputs, expected={}).patched(_PRODUCT, **changes)
        yield modelled_job(config, f"long loop of {name}", work.program, inputs)
