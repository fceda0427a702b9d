"""Which cases of parametrized tests run: as many as it takes for every value, or all of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

SEEDS = 3
"""Values of a parameter `seed` that need to occur: more of them only look for what is rare."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--every-case",
        action="store_true",
        help="run tests with all combinations of their parameters, not just as many as have every value once",
    )


@pytest.hookimpl(trylast=True)  # `-k` and `-m` choose first
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without `--every-case`, deselects cases whose parameters' values are all in the cases of the test that remain.

    Of a parameter `seed`, the first `SEEDS` values are enough. Cases that were asked for by name all run.
    """
    if config.getoption("--every-case") or any("[" in argument for argument in config.args):
        return
    tests: dict[str, list[pytest.Item]] = {}
    for item in items:
        tests.setdefault(str(item.nodeid).partition("[")[0], []).append(item)
    kept = {id(item) for cases in tests.values() for item in covering(cases)}
    config.hook.pytest_deselected(items=[item for item in items if id(item) not in kept])
    items[:] = [item for item in items if id(item) in kept]


def covering(cases: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Cases of one test, in their order, in which every value of every parameter occurs: each time the case that has
    most of the missing ones."""
    values = [_values(case) for case in cases]
    wanted = frozenset[tuple[str, str]]().union(*values)
    if not wanted:
        return list(cases)
    seeds = dict.fromkeys(value for case in values for value in case if value[0] == "seed")
    missing = wanted - set(list(seeds)[SEEDS:])
    chosen: set[int] = set()
    while missing:
        best = max(range(len(cases)), key=lambda number: len(values[number] & missing))
        chosen.add(best)
        missing -= values[best]
    return [cases[number] for number in sorted(chosen)]


def _values(case: pytest.Item) -> frozenset[tuple[str, str]]:
    spec = getattr(case, "callspec", None)
    return frozenset((name, repr(value)) for name, value in spec.params.items()) if spec else frozenset()
