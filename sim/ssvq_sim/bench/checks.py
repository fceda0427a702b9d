"""What the measurements must reach: a table of targets, and how the points stand against it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .points import IDEAL_LATENCY, SMALL_LAYERS, Point, SpeedUp, speed_ups

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le, "==": operator.eq}


@dataclass(frozen=True, kw_only=True)
class Target:
    """A limit that every point it applies to must keep.

    applies, figure : take a Point, or a SpeedUp when `of_speed_up`
    limit : None when the figure is only reported
    """

    name: str
    applies: Callable[[Any], bool]
    figure: Callable[[Any], float]
    comparison: str
    limit: float | None
    of_speed_up: bool = False

    def __post_init__(self) -> None:
        if self.comparison not in _COMPARISONS:
            raise ValueError(f"comparison must be one of {', '.join(_COMPARISONS)}, not {self.comparison!r}")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A target with the worst figure of all points it applies to, and the point that has it.

    figure, where : None when no such point was measured
    """

    target: Target
    figure: float | None
    where: str | None
    count: int

    @property
    def failed(self) -> bool:
        """The limit is not kept."""
        if self.figure is None or self.target.limit is None:
            return False
        return not _COMPARISONS[self.target.comparison](self.figure, self.target.limit)


def _is_layer(point: Point) -> bool:
    return point.job == "layer" and point.latency == IDEAL_LATENCY


def _is_large_layer(point: Point) -> bool:
    return _is_layer(point) and point.layer not in SMALL_LAYERS


def _is_small_layer(point: Point) -> bool:
    return _is_layer(point) and point.layer in SMALL_LAYERS


def _is_headline(entry: SpeedUp) -> bool:
    p = entry.point
    return (p.job, p.config, p.bytes_per_cycle, p.codebook_size) == ("deit-tiny", "base", 1, 16)


TARGETS: tuple[Target, ...] = (
    Target(
        name="every output is bit-exact",
        applies=lambda p: True,
        figure=lambda p: float(p.bit_exact),
        comparison="==",
        limit=1,
    ),
    Target(
        name="cycles waiting for decode",
        applies=lambda p: True,
        figure=lambda p: p.wait_decode_cycles,
        comparison="<=",
        limit=0,
    ),
    Target(
        name="matrix-vector: part of the bus's peak",
        applies=lambda p: p.job == "gemv",
        figure=lambda p: p.bus_utilisation,
        comparison=">=",
        limit=0.97,
    ),
    Target(
        name="matrix-vector: ssvq k=16 over int8",
        applies=lambda s: s.point.job == "gemv" and s.point.codebook_size == 16,
        figure=lambda s: s.factor,
        comparison=">=",
        limit=4.8,
        of_speed_up=True,
    ),
    Target(
        name="matrix-vector: ssvq k=256 over int8",
        applies=lambda s: s.point.job == "gemv" and s.point.codebook_size == 256,
        figure=lambda s: s.factor,
        comparison=">=",
        limit=None,
        of_speed_up=True,
    ),
    Target(
        name="layer: cycles over roofline",
        applies=_is_large_layer,
        figure=lambda p: p.ratio,
        comparison="<=",
        limit=1.05,
    ),
    Target(
        name="small layer (attention, head): cycles over roofline",
        applies=_is_small_layer,
        figure=lambda p: p.ratio,
        comparison="<=",
        limit=1.15,
    ),
    Target(
        name="compute-bound layer: MACs of those that ragged edges allow",
        applies=lambda p: _is_large_layer(p) and p.is_compute_bound,
        figure=lambda p: p.mac_utilisation_of_possible,
        comparison=">=",
        limit=0.95,
    ),
    Target(
        name="any layer behind memory latency: cycles over roofline",
        applies=lambda p: p.job == "layer" and p.latency != IDEAL_LATENCY,
        figure=lambda p: p.ratio,
        comparison="<=",
        limit=None,
    ),
    Target(
        name="DeiT-tiny: cycles over roofline",
        applies=lambda p: p.job == "deit-tiny",
        figure=lambda p: p.ratio,
        comparison="<=",
        limit=1.05,
    ),
    Target(
        name="DeiT-tiny on base at 1 B/cycle: ssvq over int8, images in a row",
        applies=lambda s: _is_headline(s) and s.point.variant == "steady",
        figure=lambda s: s.factor,
        comparison=">=",
        limit=4.3,
        of_speed_up=True,
    ),
    Target(
        name="DeiT-tiny on base at 1 B/cycle: ssvq over int8, one image",
        applies=lambda s: _is_headline(s) and s.point.variant == "latency",
        figure=lambda s: s.factor,
        comparison=">=",
        limit=None,
        of_speed_up=True,
    ),
    Target(
        name="DeiT-tiny on base: seconds of simulation",
        applies=lambda p: p.job == "deit-tiny" and p.config == "base",
        figure=lambda p: p.job_wall_seconds,
        comparison="<=",
        limit=180,
    ),
)


def judge(points: Sequence[Point], targets: Sequence[Target] = TARGETS) -> list[Verdict]:
    """Every target's verdict, in order."""
    pairs = speed_ups(points)
    verdicts = []
    for target in targets:
        source: Sequence[Point] | Sequence[SpeedUp] = pairs if target.of_speed_up else points
        figures = [(target.figure(entry), entry) for entry in source if target.applies(entry)]
        if not figures:
            verdicts.append(Verdict(target=target, figure=None, where=None, count=0))
            continue
        worst = max if target.comparison == "<=" else min
        figure, entry = worst(figures, key=operator.itemgetter(0))
        where = entry.point.name if isinstance(entry, SpeedUp) else entry.name
        verdicts.append(Verdict(target=target, figure=figure, where=where, count=len(figures)))
    return verdicts
