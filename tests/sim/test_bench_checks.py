"""Targets: reached by points that are good enough, missed by those that are not, and not judged without points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from bench_points import sweep_points

from ssvq_sim.bench.checks import TARGETS, Target, judge
from ssvq_sim.bench.points import Point, pace, speed_ups, to_json
from ssvq_sim.bench.report import tables, verdict_table


def changed(points: list[Point], chosen: Callable[[Point], bool], **fields: object) -> list[Point]:
    """With one of the chosen points changed."""
    index = next(i for i, p in enumerate(points) if chosen(p))
    return [replace(p, **fields) if i == index else p for i, p in enumerate(points)]  # type: ignore[arg-type]


def failed(points: list[Point]) -> list[str]:
    return [verdict.target.name for verdict in judge(points) if verdict.failed]


def test_all_reached() -> None:
    points = sweep_points()
    verdicts = judge(points)
    assert not failed(points)
    assert all(verdict.count for verdict in verdicts if not verdict.target.name.startswith("any layer behind"))


def steady(p: Point) -> bool:
    return (p.job, p.variant, p.format, p.bytes_per_cycle) == ("deit-tiny", "steady", "ssvq", 1)


@pytest.mark.parametrize(
    ("chosen", "fields", "names"),
    [
        (lambda p: p.job == "layer", {"bit_exact": False}, {"every output is bit-exact"}),
        (lambda p: p.job == "gemv", {"wait_decode_cycles": 1}, {"cycles waiting for decode"}),
        (lambda p: p.job == "gemv", {"bus_utilisation": 0.969}, {"matrix-vector: part of the bus's peak"}),
        (
            lambda p: p.job == "gemv" and p.codebook_size == 16 and p.bytes_per_cycle == 1,
            {"cycles": 124_200},
            {"matrix-vector: ssvq k=16 over int8"},
        ),
        (lambda p: p.layer == "patch" and p.format == "int8", {"cycles": 154_900}, {"layer: cycles over roofline"}),
        (
            lambda p: p.layer == "head" and p.format == "int8" and p.bytes_per_cycle == 1,
            {"cycles": 220_900},
            {"small layer (attention, head): cycles over roofline"},
        ),
        (
            lambda p: p.layer == "patch" and p.format == "ssvq" and p.bytes_per_cycle == 8,
            {"mac_utilisation_of_possible": 0.949},
            {"compute-bound layer: MACs of those that ragged edges allow"},
        ),
        (
            lambda p: p.job == "deit-tiny" and p.format == "ssvq" and p.bytes_per_cycle == 8,
            {"cycles": 1_311_000},
            {"DeiT-tiny: cycles over roofline"},
        ),
        (steady, {"cycles": 1_326_700}, {"DeiT-tiny on base at 1 B/cycle: ssvq over int8, images in a row"}),
        (steady, {"job_wall_seconds": 181.0}, {"DeiT-tiny on base: seconds of simulation"}),
    ],
)
def test_missed(chosen: Callable[[Point], bool], fields: dict[str, object], names: set[str]) -> None:
    points = changed(sweep_points(), chosen, **fields)
    assert names <= set(failed(points))
    assert len(failed(points)) <= 2  # a slower layer also has the array idle


def test_small_layers_have_more_room() -> None:
    points = changed(
        sweep_points(), lambda p: p.layer == "head" and p.bytes_per_cycle == 1 and p.format == "int8", cycles=218_000
    )
    assert not failed(points)


def test_layers_behind_latency_are_reported_without_a_limit() -> None:
    slow = [replace(p, latency=100, cycles=2 * p.cycles) for p in sweep_points() if p.job == "layer"]
    points = sweep_points() + slow
    assert not failed(points)
    (verdict,) = [v for v in judge(points) if v.target.name.startswith("any layer behind")]
    assert verdict.figure == pytest.approx(2.02, abs=0.001)
    assert verdict.count == len(slow)


def test_single_image_is_reported_without_a_limit() -> None:
    def single(p: Point) -> bool:
        return (p.job, p.variant, p.format, p.bytes_per_cycle) == ("deit-tiny", "latency", "ssvq", 1)

    verdict = next(
        v for v in judge(changed(sweep_points(), single, cycles=1_310_000)) if v.target.name.endswith("one image")
    )
    assert verdict.figure == pytest.approx(4.354, abs=0.001)
    assert not verdict.failed


def test_nothing_measured() -> None:
    verdicts = judge([])
    assert [v.figure for v in verdicts] == [None] * len(TARGETS)
    assert not any(v.failed for v in verdicts)


def test_unknown_comparison() -> None:
    with pytest.raises(ValueError, match="comparison must be one of >=, <=, ==, not '<'"):
        Target(name="t", applies=lambda p: True, figure=lambda p: 0, comparison="<", limit=1)


def test_speed_ups_have_their_own_baseline() -> None:
    points = sweep_points()
    pairs = speed_ups(points)
    assert len(pairs) == sum(p.format != "int8" for p in points)
    for pair in pairs:
        assert pair.baseline.format == "int8"
        for field in ("job", "variant", "layer", "config", "bytes_per_cycle", "latency"):
            assert getattr(pair.point, field) == getattr(pair.baseline, field)
    alone = [p for p in points if p.format != "int8"]
    assert speed_ups(alone) == []


def test_json_has_the_agreed_keys() -> None:
    data = to_json(sweep_points())
    wanted = {
        *("job", "layer", "config", "format", "codebook_size", "vector_dim", "bytes_per_cycle", "cycles"),
        *("roofline_cycles", "wait_decode_cycles", "bus_utilisation", "mac_utilisation", "bit_exact"),
    }
    assert data["simulated_cycles_per_second"] > 0
    for entry in data["points"]:
        assert wanted <= set(entry)


def test_pace() -> None:
    points = [replace(p, simulated_cycles=300, wall_seconds=0.5) for p in sweep_points()[:2]]
    assert pace(points) == 600
    assert pace([]) == 0


def test_tables_show_every_point() -> None:
    points = sweep_points()
    gemv, layer, network = tables(points)
    assert (gemv.row_count, layer.row_count, network.row_count) == (3, 5, 8)
    assert verdict_table(judge(points)).row_count == len(TARGETS)
