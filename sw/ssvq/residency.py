"""Which weight streams stay in the weight cache."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import Residency


def plan_residency(config: CoreConfig, uses: Sequence[tuple[Hashable, int]]) -> tuple[tuple[Residency, int], ...]:
    """Keep nothing."""
    return ((Residency.NONE, 0),) * len(uses)
