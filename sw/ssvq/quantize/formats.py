"""How a layer's weights may be stored, and the settings of the encoder."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

CODEBOOK_SIZE_MIN, CODEBOOK_SIZE_MAX = 2, 4096
VECTOR_DIM_MIN, VECTOR_DIM_MAX = 2, 32
GROUP_MIN, GROUP_MAX = 2, 16
FORMAT_SIZES = ("codebook_size", "vector_dim", "keep", "group")
"""Sizes that a format has or has not."""
CODEWORD_MAX = 127
"""Largest magnitude of a codeword element or int8 weight; -128 is never used, so that negation cannot overflow."""

ScaleKind = Literal["channel", "layer"]
ClipKind = Literal["max", "mse"]


class WeightFormat(StrEnum):
    """Representation of a layer's weights.

    - `SSVQ`: one sign bit per weight, codewords of magnitudes 0..127, one index per subvector.
    - `VQ`: conventional vector quantization, the sign is part of the codeword, -127..127.
    - `MVQ`: masked vector quantization: of every `group` weights only `keep` are not zero, and a mask says which;
      codewords as those of VQ, one index per subvector, `codebook[index] * mask`.
    - `INT8`: dense symmetric int8, -127..127.
    - `INT4`, `INT3`, `INT2`: dense two's complement of that many bits.
    - `FLOAT`: the float32 weights as they are.
    """

    SSVQ = "ssvq"
    VQ = "vq"
    MVQ = "mvq"
    INT8 = "int8"
    INT4 = "int4"
    INT3 = "int3"
    INT2 = "int2"
    FLOAT = "float"

    @property
    def has_codebook(self) -> bool:
        """True for the formats that store a codebook and indices."""
        return self in (WeightFormat.SSVQ, WeightFormat.VQ, WeightFormat.MVQ)

    @property
    def is_uniform(self) -> bool:
        """True for the formats that store an integer of `bits` bits for every weight."""
        return self in _UNIFORM_BITS

    @property
    def bits(self) -> int:
        """Bits of a weight in a uniform format; ValueError for the others."""
        if self not in _UNIFORM_BITS:
            raise ValueError(f"format {self.value} is not uniform")
        return _UNIFORM_BITS[self]

    @property
    def integer_range(self) -> tuple[int, int]:
        """Least and greatest integer of a uniform format; ValueError for the others."""
        if self is WeightFormat.INT8:
            return -CODEWORD_MAX, CODEWORD_MAX
        return -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1


_UNIFORM_BITS = {WeightFormat.INT8: 8, WeightFormat.INT4: 4, WeightFormat.INT3: 3, WeightFormat.INT2: 2}


def require_int(name: str, value: object, low: int, high: int) -> int:
    """Return `value` when it is an int in low..high; otherwise raise TypeError or ValueError naming value and rule."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {value!r}")
    if not low <= value <= high:
        raise ValueError(f"{name} must be in {low}..{high}, not {value}")
    return value


def require_codebook(codebook_size: object, vector_dim: object) -> tuple[int, int]:
    """Check both sizes of a codebook and return them; raises TypeError or ValueError naming value and rule."""
    size = require_int("codebook_size", codebook_size, CODEBOOK_SIZE_MIN, CODEBOOK_SIZE_MAX)
    if size & (size - 1):
        raise ValueError(f"codebook_size must be a power of two, not {size}")
    return size, require_int("vector_dim", vector_dim, VECTOR_DIM_MIN, VECTOR_DIM_MAX)


def require_pattern(keep: object, group: object, vector_dim: int) -> tuple[int, int]:
    """Check the numbers of a mask and return them; raises TypeError or ValueError naming value and rule."""
    size = require_int("group", group, GROUP_MIN, GROUP_MAX)
    if vector_dim % size:
        raise ValueError(f"group must divide the vector_dim {vector_dim}, not be {size}")
    return require_int("keep", keep, 1, size - 1), size


def require_parts(format: WeightFormat, sizes: dict[str, object]) -> None:
    """Check that of codebook_size, vector_dim, keep and group those are given that the format has, within their limits.

    Raises:
        TypeError, ValueError: one is not; the text names it, its value and the rule.
    """
    absent = ["keep", "group"] if format is not WeightFormat.MVQ else []
    if not format.has_codebook:
        absent = ["codebook_size", "vector_dim", *absent]
    for name in absent:
        if sizes[name] is not None:
            raise ValueError(f"{name} must be None for format {format.value}, not {sizes[name]!r}")
    if format.has_codebook:
        _, vector_dim = require_codebook(sizes["codebook_size"], sizes["vector_dim"])
        if format is WeightFormat.MVQ:
            require_pattern(sizes["keep"], sizes["group"], vector_dim)


@dataclass(frozen=True, kw_only=True)
class QuantizeConfig:
    """Settings of `encode` for one layer.

    Attributes:
        format: representation of the weights.
        codebook_size: codewords k, a power of two in 2..4096; only for formats with a codebook.
        vector_dim: weights per subvector d, in 2..32; only for formats with a codebook.
        keep, group: `keep` of every `group` consecutive input channels are not zero, 1 <= keep < group <= 16, and
            `group` divides `vector_dim`; only for MVQ.
        scale: one scale per output channel, or one per layer.
        clip: scale of the uniform formats: "max" lets it reach every weight, "mse" takes the one with the least
            squared error of the weights.
        seed: seed of every random choice.
        iterations: most k-means iterations; it stops earlier when it has converged.
        train_subvectors: k-means runs on at most this many randomly chosen subvectors, but never on fewer than 32 per
            codeword; None takes 512 per codeword, at most 131072. Refinement and assignment always use all.
        refine_rounds: rounds of assignment, least-squares scales and centroid update over all subvectors.
    """

    format: WeightFormat
    codebook_size: int | None = None
    vector_dim: int | None = None
    keep: int | None = None
    group: int | None = None
    scale: ScaleKind = "channel"
    clip: ClipKind = "max"
    seed: int = 0
    iterations: int = 25
    train_subvectors: int | None = None
    refine_rounds: int = 6

    def __post_init__(self) -> None:
        if not isinstance(self.format, WeightFormat):
            raise TypeError(f"format must be a WeightFormat, not {self.format!r}")
        require_parts(self.format, {name: getattr(self, name) for name in FORMAT_SIZES})
        if self.scale not in ("channel", "layer"):
            raise ValueError(f"scale must be 'channel' or 'layer', not {self.scale!r}")
        if self.clip not in ("max", "mse"):
            raise ValueError(f"clip must be 'max' or 'mse', not {self.clip!r}")
        if self.clip != "max" and not self.format.is_uniform:
            raise ValueError(f"clip must be 'max' for format {self.format.value}, not {self.clip!r}")
        require_int("seed", self.seed, 0, 2**63 - 1)
        require_int("iterations", self.iterations, 1, 10_000)
        if self.train_subvectors is not None:
            require_int("train_subvectors", self.train_subvectors, 1, 2**40)
        require_int("refine_rounds", self.refine_rounds, 1, 1_000)

    @property
    def codebook(self) -> tuple[int, int]:
        """(codebook_size, vector_dim) of a format that has a codebook; ValueError for the others."""
        if self.codebook_size is None or self.vector_dim is None:
            raise ValueError(f"format {self.format.value} has no codebook")
        return self.codebook_size, self.vector_dim

    @property
    def pattern(self) -> tuple[int, int] | None:
        """(keep, group) of MVQ, None for the other formats."""
        return None if self.keep is None or self.group is None else (self.keep, self.group)
