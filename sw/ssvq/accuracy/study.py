"""What is measured: rows of the result tables, each one or more runs that differ in their seed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

NUMBERS_VERSION = 1
"""Raised whenever the code gives other numbers for equal settings; earlier results then count no more."""

Family = Literal["minilm", "fashion_vit", "fashion_resnet", "efficientnet_lite0", "vit_s_saliency"]
Study = Literal["main", "ablation"]


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """Post-training reconstruction in place of training.

    Attributes:
        blocks: names of the blocks, in the order in which they run.
        batches: of training inputs.
        steps: for each block.
        learning_rate, sign_learning_rate: of Adam.
    """

    blocks: tuple[str, ...]
    batches: int
    steps: int
    learning_rate: float
    sign_learning_rate: float

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {**vars(self), "blocks": list(self.blocks)}


@dataclass(frozen=True, kw_only=True)
class Run:
    """One trained model.

    Attributes:
        family: decides what is measured.
        table: the training recipe, as `tomllib` would read it.
        reconstruction: replaces training.
        checkpoint: the run whose float model this one starts from.
    """

    family: Family
    table: Mapping[str, Any]
    reconstruction: Reconstruction | None = None
    checkpoint: Run | None = None

    def digest(self) -> str:
        """64 bits of a hash of everything that determines the numbers, in hexadecimal."""
        return hashlib.sha256(json.dumps(self._content(), sort_keys=True).encode()).hexdigest()[:16]

    def _content(self) -> dict[str, Any]:
        return {
            "version": NUMBERS_VERSION,
            "family": self.family,
            "table": self.table,
            "reconstruction": self.reconstruction.to_dict() if self.reconstruction else None,
            "checkpoint": self.checkpoint.digest() if self.checkpoint else None,
        }


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table.

    Attributes:
        model: as the table names it.
        method: as the table names it.
        bits: nominal bits of a weight; 32 for float.
        variant: budget, or what is special.
        runs: one for each seed.
        study: the table that it belongs to.
    """

    model: Family
    method: str
    bits: float
    variant: str
    runs: tuple[Run, ...]
    study: Study = "main"

    @property
    def name(self) -> str:
        """For progress and errors."""
        return f"{self.model} {self.method} {self.bits:g} bits, {self.variant}"
