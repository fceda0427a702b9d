"""The sweep of random systems: what is kept, what a failure says, and that one core does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from ssvq_gen.config import CoreConfig
from ssvq_gen.toolbox import ToolError
from ssvq_sim.runner import SimulationError
from ssvq_sim.simulator import BuildError
from ssvq_sim.systems import batch, command, sweep
from ssvq_sim.systems.batch import BatchResult, Failure, random_systems, run_systems
from ssvq_sim.systems.sweep import Report, Settings
from ssvq_sim.systems.system_cases import configurations

CORES = configurations(3, random_seed=1)


class FakeSession:
    """Fails in some of its jobs, as a simulator does that stops."""

    def __init__(self, _simulator: Any, *, wall_seconds: float) -> None:
        self._count = 0

    def __enter__(self) -> FakeSession:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, job: Any) -> Any:
        self._count += 1
        if self._count % 2:
            raise SimulationError(f"{job.name} has stopped the simulator")
        return None


def test_every_failure_is_there_with_its_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "Session", FakeSession)
    monkeypatch.setattr(batch, "build_simulator", lambda config, runs: None)
    monkeypatch.setattr(batch, "problems_of", lambda *_: ["7 of 9 outputs differ"])
    monkeypatch.setattr(batch, "beats_after", lambda result: (0, 0))
    systems = random_systems(CORES[0], cases=3, programs=1, random_seed=1)
    result = run_systems(CORES[0], systems)
    assert [failure.system for failure in result.failures] == [system.to_json() for system in systems]
    assert "case0 has stopped the simulator" in result.failures[0].problems[0]
    assert result.failures[1].problems == ["7 of 9 outputs differ"]


def run_all(settings: Settings) -> list[tuple[str, bool]]:
    return [(result.core, before) for result, before in sweep.sweep(settings)]


class InlinePool:
    """Runs at once what it is given, in this process, where things are replaced."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __enter__(self) -> InlinePool:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        future: Future[Any] = Future()
        future.set_result(function(*arguments))
        return future

    def shutdown(self, **_: object) -> None:
        pass


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What becomes of the cores, by name; right in everything if nothing is said."""
    said: dict[str, Any] = {}

    def fake(config: CoreConfig, systems: Sequence[Any], **_: object) -> BatchResult:
        found = said.get(config.name, [])
        if isinstance(found, Exception):
            raise found
        return BatchResult(core=config.name, systems=len(systems), failures=found, lint=[], seconds=1.0)

    monkeypatch.setattr(sweep, "run_systems", fake)
    monkeypatch.setattr(sweep, "ProcessPoolExecutor", InlinePool)
    return said


def test_only_what_is_right_is_kept(outcomes: dict[str, Any], tmp_path: Path) -> None:
    settings = Settings(cores=3, cases=1, programs=0, output=tmp_path)
    names = [core.name for core in CORES]
    outcomes[names[1]] = [Failure(system="{}", problems=["wrong"])]
    assert sorted(run_all(settings)) == [(name, False) for name in names]
    again = run_all(settings)
    assert sorted(again) == [(names[0], True), (names[1], False), (names[2], True)]
    assert {before for _, before in run_all(Settings(cores=3, cases=2, programs=0, output=tmp_path))} == {False}


@pytest.mark.parametrize("error", [BuildError("no compiler"), ToolError("no Yosys")])
def test_a_core_that_cannot_be_built_does_not_stop_the_others(
    outcomes: dict[str, Any], tmp_path: Path, error: Exception
) -> None:
    outcomes[CORES[0].name] = error
    found = [result for result, _ in sweep.sweep(Settings(cores=3, cases=1, programs=0, output=tmp_path))]
    assert len(found) == 3
    assert [result.lint for result in found if result.lint] == [[str(error)]]
    assert Report(batches=found).failures == 1


@pytest.mark.parametrize(("name", "value"), [("cores", 0), ("cases", 0), ("programs", -1), ("jobs", 0)])
def test_settings(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{name} must be .* or more, not {value}"):
        Settings(**{name: value})


@pytest.mark.parametrize("arguments", [("--case", "{"), ("--cores", "0")])
def test_bad_input_is_one_line(arguments: tuple[str, ...], tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(command.main)
    result = CliRunner().invoke(app, [*arguments, "--output", str(tmp_path / "systems")])
    assert result.exit_code == 2
    assert result.output.startswith("error: ")
    assert not (tmp_path / "systems").exists()
