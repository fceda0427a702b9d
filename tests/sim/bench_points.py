"""Points of a sweep that reaches every target, to be changed by tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ssvq_sim.bench.points import Point

FORMATS: dict[str, tuple[str, int | None, int | None, float]] = {
    "int8": ("int8", None, None, 8.0),
    "ssvq k=16": ("ssvq", 16, 8, 1.5),
    "ssvq k=256": ("ssvq", 256, 8, 2.0),
}
ARRAY_MACS = 1024


def make_point(
    *, job: str, layer: str, name: str, rate: int, macs: int, weights: int, tokens: int, **fields: Any
) -> Point:
    """A point one percent above its roofline."""
    kind, codebook_size, vector_dim, bits = FORMATS[name]
    stream = round(weights * bits / 8)
    compute = macs // ARRAY_MACS
    roofline = max(compute, round(stream / rate))
    cycles = roofline * 101 // 100
    point = Point(
        job=job,
        variant=None,
        layer=layer,
        config="base",
        format=kind,
        codebook_size=codebook_size,
        vector_dim=vector_dim,
        bytes_per_cycle=rate,
        latency=0 if job == "layer" else 100,
        array_macs=ARRAY_MACS,
        cycles=cycles,
        compute_cycles=compute,
        stream_bytes=stream,
        weights_only_bytes=stream,
        load_bytes=0,
        macs=macs,
        roofline_cycles=roofline,
        roofline_weights_only_cycles=roofline,
        wait_decode_cycles=0,
        bus_utilisation=stream / (cycles * rate),
        mac_utilisation=macs / (ARRAY_MACS * cycles),
        mac_utilisation_of_possible=compute / cycles,
        bit_exact=True,
        counters={"TOTAL_CYCLES": cycles},
        simulated_cycles=cycles + 500,
        wall_seconds=cycles / 200_000,
        job_wall_seconds=cycles / 200_000,
    )
    return replace(point, **fields)


def sweep_points() -> list[Point]:
    """A few points of every job."""
    points = []
    for name in FORMATS:
        size = {"macs": 384 * 1536, "weights": 384 * 1536, "tokens": 1}
        points += [make_point(job="gemv", layer="384x1536", name=name, rate=rate, **size) for rate in (1, 8)]
    for name in ("int8", "ssvq k=16"):
        for rate in (1, 8):
            size = {"macs": 196 * 768 * 192, "weights": 768 * 192, "tokens": 196}
            points.append(make_point(job="layer", layer="patch", name=name, rate=rate, **size))
            size = {"macs": 192 * 1024, "weights": 192 * 1000, "tokens": 1}
            points.append(make_point(job="layer", layer="head", name=name, rate=rate, **size))
            size = {"macs": 1_248_240 * ARRAY_MACS, "weights": 5_647_872, "tokens": 197}
            for variant in ("latency", "steady"):
                whole = make_point(job="deit-tiny", layer="all", name=name, rate=rate, variant=variant, **size)
                points.append(whole)
    points.append(
        make_point(job="layer", layer="scores", name="int8", rate=8, macs=8274 * ARRAY_MACS, weights=0, tokens=197)
    )
    return points
