"""Jobs that differ in one thing: counters that grow by another number are a problem, and so is a job that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ssvq_gen.config import PRESETS
from ssvq_sim.scenarios import exact_cycles
from ssvq_sim.scenarios.scenario import SimulatedCore

CORE = cast(SimulatedCore, SimpleNamespace(dut=None, config=None, registers=None, memory=None))
SCENARIO = next(iter(exact_cycles.exact_cycles(PRESETS["tiny"])))


def _problems(monkeypatch: pytest.MonkeyPatch, results: Iterator[Any]) -> list[str]:
    async def run_job(*arguments: Any) -> Any:
        return next(results)

    monkeypatch.setattr(exact_cycles, "run_job", run_job)
    return asyncio.run(SCENARIO.problems(CORE))


def _result(cycles: int, error: Any = None) -> Any:
    return SimpleNamespace(counters={"TOTAL_CYCLES": cycles}, error=error)


def test_a_cycle_of_latency_is_a_cycle_of_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SCENARIO.more == (0, 1, 2, 3)
    assert not _problems(monkeypatch, (_result(100 + n) for n in range(4)))


def test_another_growth(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _problems(monkeypatch, iter([_result(100), _result(100), _result(102), _result(102)]))
    assert found == ["TOTAL_CYCLES grows by (0, 0, 2, 2), not by (0, 1, 2, 3)"]


def test_a_job_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    error = SimpleNamespace(type="JobStalled", message="nothing moved")
    assert _problems(monkeypatch, iter([_result(100), _result(0, error)])) == ["JobStalled: nothing moved"]
