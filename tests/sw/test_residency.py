"""Placement of weight streams in the weight cache: what is read is there, and nothing is fetched more than before."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssvq.residency import CACHE_ALIGNMENT, Placement, plan_residency
from ssvq_gen.config import PRESETS, CoreConfig
from ssvq_gen.format import Residency

NONE = Placement(Residency.NONE, 0)
Uses = list[tuple[str, int]]


def config_of(cache_bytes: int) -> CoreConfig:
    return PRESETS["tiny"].replace(weight_cache_bytes=cache_bytes)


def run(config: CoreConfig, uses: Uses, plan: tuple[Placement, ...]) -> int:
    """Bytes fetched by a cache of lines that says which line of which stream it holds."""
    assert len(plan) == len(uses)
    lines: dict[int, tuple[str, int]] = {}
    fetched = 0
    for (stream, size), (residency, offset) in zip(uses, plan, strict=True):
        if residency is Residency.NONE:
            assert offset == 0
            fetched += size
            continue
        assert offset % CACHE_ALIGNMENT == 0
        assert 0 <= offset <= config.weight_cache_bytes - size
        place = {offset + n: (stream, n) for n in range(0, size, CACHE_ALIGNMENT)}
        if residency is Residency.KEEP:
            fetched += size
            lines |= place
        else:
            assert {line: lines.get(line) for line in place} == place
    return fetched


def lifetimes(uses: Uses, plan: tuple[Placement, ...]) -> list[tuple[int, int, int, int]]:
    """First use, last use, offset and end of everything that is kept."""
    found: dict[str, tuple[int, int, int, int]] = {}
    done = []
    for index, ((stream, size), (residency, offset)) in enumerate(zip(uses, plan, strict=True)):
        if residency is Residency.REUSE:
            found[stream] = (found[stream][0], index, *found[stream][2:])
        elif stream in found:
            done.append(found.pop(stream))
        if residency is Residency.KEEP:
            found[stream] = (index, index, offset, offset + size)
    return done + list(found.values())


@st.composite
def sequences(draw: st.DrawFn) -> tuple[CoreConfig, Uses]:
    config = config_of(draw(st.sampled_from((0, 1 << 10, 4 << 10))))
    sizes = draw(st.lists(st.integers(1, 2000), min_size=1, max_size=8))
    order = draw(st.lists(st.integers(0, len(sizes) - 1), max_size=60))
    return config, [(f"s{stream}", sizes[stream]) for stream in order]


@given(sequences())
def test_every_plan_is_sound(case: tuple[CoreConfig, Uses]) -> None:
    config, uses = case
    plan = plan_residency(config, uses)
    assert run(config, uses, plan) <= sum(size for _, size in uses)
    kept = lifetimes(uses, plan)
    assert all(first < last for first, last, _, _ in kept), "what is kept is used again"
    for n, (first, last, offset, end) in enumerate(kept):
        for other_first, other_last, other_offset, other_end in kept[:n]:
            assert last < other_first or other_last < first or end <= other_offset or other_end <= offset
    assert plan == plan_residency(config, uses)


@given(sequences())
def test_streams_that_fit_together_are_fetched_once(case: tuple[CoreConfig, Uses]) -> None:
    _, uses = case
    config = config_of(32 << 10)
    plan = plan_residency(config, uses)
    counts = Counter(stream for stream, _ in uses)
    seen: set[str] = set()
    for (stream, _), (residency, _) in zip(uses, plan, strict=True):
        if counts[stream] == 1:
            assert residency is Residency.NONE
        else:
            assert residency is (Residency.REUSE if stream in seen else Residency.KEEP)
        seen.add(stream)


def test_token_chunks_of_layers_too_large_to_stay_for_the_next_image() -> None:
    config = config_of(4 << 10)
    layers: Uses = [("a", 4096), ("b", 3000), ("c", 64), ("d", 5000)]
    uses = [layer for _ in range(2) for layer in layers for _ in range(3)]
    plan = plan_residency(config, uses)
    assert run(config, uses, plan) == 2 * (4096 + 3000 + 64) + 6 * 5000


def test_the_largest_streams_of_a_repeated_network_stay() -> None:
    config = config_of(4 << 10)
    network: Uses = [("a", 1024), ("b", 2048), ("c", 512), ("d", 1600), ("e", 448)]
    uses = network * 4
    plan = plan_residency(config, uses)
    assert run(config, uses, plan) == 4 * (1024 + 512) + 2048 + 1600 + 448
    assert plan[:5] == (
        NONE,
        Placement(Residency.KEEP, 0),
        NONE,
        Placement(Residency.KEEP, 2048),
        Placement(Residency.KEEP, 3648),
    )
    assert (
        plan[5:10]
        == plan[15:20]
        == tuple(
            placement if placement == NONE else Placement(Residency.REUSE, placement.cache_offset)
            for placement in plan[:5]
        )
    )


def test_a_lifetime_without_a_free_place_is_cut() -> None:
    """`c` fits beside `a` in size, but `a` lies in the middle: `c` comes again, and stays once `a` has gone."""
    sizes = {"a": 192, "b": 320, "c": 768}
    uses = [(stream, sizes[stream]) for stream in "bbacbbcacc"]
    config = config_of(1 << 10)
    plan = plan_residency(config, uses)
    assert [(placement.residency.name[0], placement.cache_offset) for placement in plan] == [
        ("K", 0), ("R", 0), ("K", 320), ("N", 0), ("R", 0), ("R", 0), ("N", 0), ("R", 320), ("K", 0), ("R", 0),
    ]  # fmt: skip
    assert run(config, uses, plan) == 320 + 192 + 3 * 768


def test_no_cache_keeps_nothing() -> None:
    uses = [("a", 64)] * 5
    assert plan_residency(config_of(0), uses) == (NONE,) * 5
    assert plan_residency(config_of(1 << 10), []) == ()


def test_long_sequences_are_planned_in_seconds() -> None:
    config = config_of(4 << 10)
    uses = [(f"s{n * n % 997}", 64 * (1 + n * n % 997 % 20)) for n in range(20_000)]
    start = time.monotonic()
    plan = plan_residency(config, uses)
    assert time.monotonic() - start < 20
    assert run(config, uses, plan) < sum(size for _, size in uses)


def test_refuses_what_no_stream_is() -> None:
    with pytest.raises(ValueError, match="a weight stream must have at least 1 byte, not 0"):
        plan_residency(config_of(1 << 10), [("a", 0)])
    with pytest.raises(ValueError, match="uses of weight stream 'a' differ in size"):
        plan_residency(config_of(1 << 10), [("a", 64), ("a", 128)])
