"""A measured point of the sweep, as it stands in bench.json, and the speed-ups between points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

SMALL_LAYERS = ("scores", "values", "head")
"""Products with so few cycles that filling and draining the array shows."""
IDEAL_LATENCY = 0
"""Latency at which single products are held against the roofline: a job that consists of one descriptor waits for the
memory twice, which no core can hide, and which a job of many descriptors does once."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One measurement. Cycles are those of the core's TOTAL_CYCLES.

    job : "gemv", "layer" or "deit-tiny"
    variant : of the job deit-tiny: "latency", the image is loaded first; "steady", the next one is loaded meanwhile
    layer : name of the product, "all" for deit-tiny
    latency : cycles from an address to its answer
    array_macs : MACs that the array does in a cycle
    compute_cycles : cycles that the array needs at the least
    stream_bytes : weight streams, parameters and codebooks included
    weights_only_bytes : the bits of the weights alone
    load_bytes : activations that LOADs bring
    roofline_cycles : the larger of compute and weight stream of each product, and LOADs
    roofline_weights_only_cycles : the same of the bits of the weights alone
    mac_utilisation : useful MACs of those that the array could have done in these cycles
    mac_utilisation_of_possible : the same of what the ragged edges of the tiles allow
    bus_utilisation : bytes moved, of those that the bus could have moved in these cycles
    simulated_cycles, wall_seconds : of the whole measurement, LOADs before it and STOREs after it included
    job_wall_seconds : of one run of what is measured
    """

    job: str
    variant: str | None
    layer: str
    config: str
    format: str
    codebook_size: int | None
    vector_dim: int | None
    bytes_per_cycle: int
    latency: int
    array_macs: int
    cycles: int
    compute_cycles: int
    stream_bytes: int
    weights_only_bytes: float
    load_bytes: int
    macs: int
    roofline_cycles: int
    roofline_weights_only_cycles: int
    wait_decode_cycles: int
    bus_utilisation: float
    mac_utilisation: float
    mac_utilisation_of_possible: float
    bit_exact: bool
    counters: Mapping[str, int]
    simulated_cycles: int
    wall_seconds: float
    job_wall_seconds: float

    @property
    def ratio(self) -> float:
        """Cycles of the roofline's."""
        return self.cycles / self.roofline_cycles

    @property
    def is_compute_bound(self) -> bool:
        """The array needs longer than the weight stream."""
        return self.compute_cycles * self.bytes_per_cycle >= self.stream_bytes

    @property
    def format_name(self) -> str:
        """For tables and legends."""
        return self.format if self.codebook_size is None else f"{self.format} k={self.codebook_size}"

    @property
    def name(self) -> str:
        """Which point this is."""
        job = self.job if self.variant is None else f"{self.job} ({self.variant})"
        layer = "" if self.layer == "all" else f" {self.layer}"
        bus = f"{self.bytes_per_cycle} B/cycle, latency {self.latency}"
        return f"{job}{layer}, {self.format_name}, {self.config} at {bus}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class SpeedUp:
    """A point, and the point of the same work with int8 weights on the same core and memory."""

    point: Point
    baseline: Point

    @property
    def factor(self) -> float:
        """How many times faster."""
        return self.baseline.cycles / self.point.cycles

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        p = self.point
        return {
            "job": p.job,
            "variant": p.variant,
            "layer": p.layer,
            "config": p.config,
            "format": p.format,
            "codebook_size": p.codebook_size,
            "vector_dim": p.vector_dim,
            "bytes_per_cycle": p.bytes_per_cycle,
            "cycles": p.cycles,
            "int8_cycles": self.baseline.cycles,
            "speed_up": round(self.factor, 4),
        }


def speed_ups(points: Sequence[Point]) -> list[SpeedUp]:
    """Of every point with compressed weights whose int8 baseline was measured too."""

    def place(point: Point) -> tuple[Any, ...]:
        return point.job, point.variant, point.layer, point.config, point.bytes_per_cycle, point.latency

    baselines = {place(point): point for point in points if point.format == "int8"}
    return [
        SpeedUp(point=point, baseline=baselines[place(point)])
        for point in points
        if point.format != "int8" and place(point) in baselines
    ]


def pace(points: Sequence[Point]) -> float:
    """Simulated cycles in a second of one simulator."""
    seconds = sum(point.wall_seconds for point in points)
    return sum(point.simulated_cycles for point in points) / seconds if seconds else 0.0


def to_json(points: Sequence[Point]) -> dict[str, Any]:
    """The content of bench.json."""
    return {
        "points": [point.to_dict() for point in points],
        "speed_ups": [entry.to_dict() for entry in speed_ups(points)],
        "simulated_cycles_per_second": round(pace(points)),
    }
