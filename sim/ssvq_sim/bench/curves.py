"""The analytic curves that measured speed-ups are held against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ssvq_gen.config import CoreConfig

from .deit import network_works
from .layers import INT8, SSVQ16
from .limits import Work, prefetch_bound, roofline_cycles
from .sweep import Networks

RATES_PER_OCTAVE = 16
OCTAVES = (-1, 4)
"""Powers of two between which curves are drawn, in bytes per cycle."""

ROOFLINES = "sum of rooflines"
PREFETCH = "bound with prefetch"
_KINDS: dict[str, Callable[[Sequence[Work], int, float], float]] = {
    ROOFLINES: roofline_cycles,
    PREFETCH: prefetch_bound,
}


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Speed-up of SSVQ over int8 on a core, at each of `bytes_per_cycle`."""

    config: str
    kind: str
    bytes_per_cycle: tuple[float, ...]
    speed_up: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def speed_up_curves(config: CoreConfig, networks: Networks) -> list[Curve]:
    """Of the whole network with the LOAD of its image: product by product, and with everything prefetched."""
    works = {choice: network_works(config, networks.network(choice)) for choice in (SSVQ16, INT8)}
    load_bytes = networks.shape.image_bytes
    first, last = (octave * RATES_PER_OCTAVE for octave in OCTAVES)
    rates = tuple(2 ** (step / RATES_PER_OCTAVE) for step in range(first, last + 1))
    return [
        Curve(
            config=config.name,
            kind=kind,
            bytes_per_cycle=rates,
            speed_up=tuple(cycles(works[INT8], load_bytes, r) / cycles(works[SSVQ16], load_bytes, r) for r in rates),
        )
        for kind, cycles in _KINDS.items()
    ]
