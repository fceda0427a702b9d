"""How a layer's weights may be stored, and the settings of the encoder."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

CODEBOOK_SIZE_MIN, CODEBOOK_SIZE_MAX = 2, 4096
VECTOR_DIM_MIN, VECTOR_DIM_MAX = 2, 32
CODEWORD_MAX = 127
"""Largest magnitude of a codeword element or int8 weight; -128 is never used, so that negation cannot overflow."""

ScaleKind = Literal["channel", "layer"]


class WeightFormat(StrEnum):
    """Representation of a layer's weights.

    - `SSVQ`: one sign bit per weight, codewords of magnitudes 0..127, one index per subvector.
    - `VQ`: conventional vector quantization, the sign is part of the codeword, -127..127.
    - `INT8`: dense symmetric int8, -127..127.
    - `FLOAT`: the float32 weights as they are.
    """

    SSVQ = "ssvq"
    VQ = "vq"
    INT8 = "int8"
    FLOAT = "float"

    @property
    def has_codebook(self) -> bool:
        """True for the formats that store a codebook and indices."""
        return self in (WeightFormat.SSVQ, WeightFormat.VQ)


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


@dataclass(frozen=True, kw_only=True)
class QuantizeConfig:
    """Settings of `encode` for one layer.

    Attributes:
        format: representation of the weights.
        codebook_size: codewords k, a power of two in 2..4096; only for formats with a codebook.
        vector_dim: weights per subvector d, in 2..32; only for formats with a codebook.
        scale: one scale per output channel, or one per layer.
        seed: seed of every random choice.
        iterations: most k-means iterations; it stops earlier when it has converged.
        train_subvectors: k-means runs on at most this many randomly chosen subvectors (never on fewer than
            32 per codeword); refinement and assignment always use all.
        refine_rounds: rounds of assignment, least-squares scales and centroid update over all subvectors.
    """

    format: WeightFormat
    codebook_size: int | None = None
    vector_dim: int | None = None
    scale: ScaleKind = "channel"
    seed: int = 0
    iterations: int = 25
    train_subvectors: int = 131_072
    refine_rounds: int = 6

    def __post_init__(self) -> None:
        if not isinstance(self.format, WeightFormat):
            raise TypeError(f"format must be a WeightFormat, not {self.format!r}")
        if self.format.has_codebook:
            require_codebook(self.codebook_size, self.vector_dim)
        else:
            for name in ("codebook_size", "vector_dim"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name} must be None for format {self.format.value}, not {getattr(self, name)}")
        if self.scale not in ("channel", "layer"):
            raise ValueError(f"scale must be 'channel' or 'layer', not {self.scale!r}")
        require_int("seed", self.seed, 0, 2**63 - 1)
        require_int("iterations", self.iterations, 1, 10_000)
        require_int("train_subvectors", self.train_subvectors, 1, 2**40)
        require_int("refine_rounds", self.refine_rounds, 1, 1_000)

    @property
    def codebook(self) -> tuple[int, int]:
        """(codebook_size, vector_dim) of a format that has a codebook; ValueError for the others."""
        if self.codebook_size is None or self.vector_dim is None:
            raise ValueError(f"format {self.format.value} has no codebook")
        return self.codebook_size, self.vector_dim
