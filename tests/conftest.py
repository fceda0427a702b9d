"""Which cases of parametrized tests run: as many as it takes for every value, or all of them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import pytest

ENOUGH = {"seed": 3, "config": 3}
"""Values of parameters of these names that need to occur. More seeds only look for what is rare. Which configurations
are taken depends on the test's name, so that all of them have tests; `make systems` draws many more."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--every-case",
        action="store_true",
        help="run tests with all combinations of their parameters, not just as many as have every value once",
    )


@pytest.hookimpl(trylast=True)  # `-k` and `-m` choose first
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without `--every-case`, deselects cases whose parameters' values are all in the cases of the test that remain.

    Of parameters in `ENOUGH`, some values are enough. Cases that were asked for by name all run.
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
    missing = wanted - _more_than_enough(cases)
    chosen: set[int] = set()
    while missing:
        best = max(range(len(cases)), key=lambda number: len(values[number] & missing))
        chosen.add(best)
        missing -= values[best]
    return [cases[number] for number in sorted(chosen)]


def _more_than_enough(cases: Sequence[pytest.Item]) -> set[tuple[str, str]]:
    """Values of parameters in `ENOUGH` that need not occur; the test's name says where in their order those begin that
    are taken, but for seeds, of which the first are."""
    left_out: set[tuple[str, str]] = set()
    test = str(cases[0].name).partition("[")[0]
    for name, enough in ENOUGH.items():
        of_name = [repr(parameters[name]) for case in cases if name in (parameters := _parameters(case))]
        found = list(dict.fromkeys(of_name))
        begin = zlib.crc32(test.encode()) % len(found) if found and name != "seed" else 0
        left_out.update((name, value) for value in (found[begin:] + found[:begin])[enough:])
    return left_out


def _parameters(case: pytest.Item) -> dict[str, object]:
    spec = getattr(case, "callspec", None)
    return dict(spec.params) if spec else {}


def _values(case: pytest.Item) -> frozenset[tuple[str, str]]:
    return frozenset((name, repr(value)) for name, value in _parameters(case).items())
