"""The methods that are compared, as rules of training recipes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Table = dict[str, Any]
"""A table of a recipe, as `tomllib` reads it."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to store weights.

    Attributes:
        name: as in the tables of results.
        bits: nominal bits of a weight, without codebook and scales; what is stored is measured.
        rule: settings of a rule, all but its pattern.
        optimizer: learning rates that suit the method, in place of a recipe's.
    """

    name: str
    bits: float
    rule: Mapping[str, Any]
    optimizer: Mapping[str, float] = field(default_factory=dict)


def _uniform(bits: int, rate: float) -> Method:
    # a learned step moves all weights of a layer, and the weights are small: both need lower rates than codebooks
    rule = {"format": f"int{bits}", "clip": "mse"}
    return Method(name="uniform", bits=bits, rule=rule, optimizer={"learning_rate": rate})


def _codebook(
    name: str, bits: float, size: int, dim: int, *, optimizer: Mapping[str, float] | None = None, **settings: Any
) -> Method:
    rule = {"format": name, "codebook_size": size, "vector_dim": dim, **settings}
    return Method(name=name, bits=bits, rule=rule, optimizer=optimizer or {})


UNIFORM = tuple(_uniform(bits, 1e-4) for bits in (8, 4, 3, 2))
INT8 = UNIFORM[0].rule
"""For layers that a codebook does not suit."""
VQ = (_codebook("vq", 2, 256, 4), _codebook("vq", 1.5, 64, 4), _codebook("vq", 1.25, 32, 4))
"""Signs inside the codewords: bits = log2(k) / d."""
MVQ = tuple(_codebook("mvq", bits, size, 8, keep=2, group=4) for bits, size in ((2, 1024), (1.5, 64), (1.25, 16)))
"""Two of every four weights kept, of which a mask takes 3 bits: bits = 3/4 + log2(k) / d."""
SSVQ = (
    _codebook("ssvq", 2, 256, 8, optimizer={"sign_learning_rate": 1e-3}),
    _codebook("ssvq", 1.5, 16, 8),
    _codebook("ssvq", 1.25, 4, 8),
)
"""bits = 1 + log2(k) / d. With 256 codewords fewer signs have to change: the long training ends at a cosine of 0.949
at twice this rate, and of 0.953 at this one."""
MAIN = (*UNIFORM, *VQ, *MVQ, *SSVQ)


def method(name: str, bits: float) -> Method:
    """The method of that name and number of bits; KeyError if there is none."""
    return next(m for m in MAIN if (m.name, m.bits) == (name, bits))
