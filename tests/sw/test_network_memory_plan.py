"""Placement: nothing that is in use at the same time shares a word."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssvq.network.errors import GraphError
from ssvq.network.program.memory_plan import Lifetime, plan_memory

lifetimes = st.lists(
    st.tuples(st.integers(1, 40), st.integers(0, 20), st.integers(0, 10)), min_size=1, max_size=25
).map(
    lambda rows: [
        Lifetime(name=f"t{n}", words=words, first=first, last=first + length)
        for n, (words, first, length) in enumerate(rows)
    ]
)


@given(lifetimes)
def test_nothing_overlaps(given_lifetimes: list[Lifetime]) -> None:
    total = sum(own.words for own in given_lifetimes)
    plan = plan_memory(given_lifetimes, total)
    assert plan == plan_memory(given_lifetimes, total)
    placed = [(own, plan.places[own.name]) for own in plan.lifetimes]
    for (a, at_a), (b, at_b) in itertools.combinations(placed, 2):
        assert not a.meets(b) or at_a + a.words <= at_b or at_b + b.words <= at_a
    assert plan.words == max(place + own.words for own, place in placed)
    used = [sum(own.words for own in given_lifetimes if own.first <= step <= own.last) for step in range(31)]
    assert plan.words >= max(used)


def test_memory_is_used_again() -> None:
    chain = [Lifetime(name=f"t{n}", words=10, first=n, last=n + 1) for n in range(10)]
    assert plan_memory(chain, 20).words == 20
    assert sorted(set(plan_memory(chain, 20).places.values())) == [0, 10]


def test_other_orders_are_tried() -> None:
    """With the largest first, one of 5 words finds no room in a memory that all just fill."""
    sizes = [(5, 1, 3), (5, 1, 1), (6, 3, 3), (4, 1, 2)]
    given_lifetimes = [Lifetime(name=f"t{n}", words=w, first=a, last=b) for n, (w, a, b) in enumerate(sizes)]
    assert plan_memory(given_lifetimes, 14).words == 14


def test_what_does_not_fit_is_named() -> None:
    pair = [Lifetime(name="scores", words=10, first=0, last=1), Lifetime(name="x", words=6, first=1, last=2)]
    with pytest.raises(GraphError, match=r"^x: its 6 words do not fit the activation memory of 15 words beside 10 in"):
        plan_memory(pair, 15)


def test_names_are_different() -> None:
    with pytest.raises(GraphError, match=r"^x: two things in the activation memory have this name$"):
        plan_memory([Lifetime(name="x", words=1, first=n, last=n) for n in range(2)], 10)
