"""`make verify`: its parts run as commands, are kept while nothing changes, and fail as a whole when one does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from ssvq_sim.verify import command, part
from ssvq_sim.verify.part import Outcome, Part, run_part
from ssvq_sim.verify.parts import PARTS
from ssvq_sim.verify.report import report

PLAYED = """
import json, sys
from pathlib import Path
folder = Path(sys.argv[sys.argv.index("--output") + 1])
runs = folder / "runs"
runs.write_text(runs.read_text() + "x" if runs.exists() else "x")
(folder / "played.json").write_text(json.dumps({"value": len(runs.read_text()), "said": sys.argv[1:]}))
print("a line of", folder.name)
sys.exit(int("--fail" in sys.argv))
"""


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Module `played` is a command that counts its runs, and fails when it is told so."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "played.py").write_text(PLAYED)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "modules"))
    return tmp_path / "out"


def played_part(name: str, *arguments: str) -> Part:
    return Part(
        name=name,
        module="played",
        arguments=arguments,
        quick_arguments=(*arguments, "--little"),
        result="played.json",
        summarize=lambda data: {"value": data["value"], "little": "--little" in data["said"]},
    )


def test_a_part_runs_once_and_again_when_something_changes(played: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played.mkdir()
    first = run_part(played_part("a"), played, quick=False)
    assert (first.passed, first.summary) == (True, {"value": 1, "little": False})
    assert Path(first.log).read_text() == "a line of a\n"
    assert run_part(played_part("a"), played, quick=False) == first
    assert run_part(played_part("a"), played, quick=True).summary == {"value": 2, "little": True}
    monkeypatch.setattr(part, "result_key", lambda module, settings: "other sources")
    assert run_part(played_part("a"), played, quick=True).summary["value"] == 3


def test_a_part_during_which_a_source_changes_is_not_kept(played: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played.mkdir()
    keys = iter(f"sources {number}" for number in range(9))
    monkeypatch.setattr(part, "result_key", lambda module, settings: next(keys))
    assert run_part(played_part("a"), played, quick=False).passed
    assert not (played / "a.json").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"key": "a", "name": "a"}', '{"key": 1, "passed": tr'])
def test_a_spoilt_outcome_counts_as_none(played: Path, text: str) -> None:
    played.mkdir()
    (played / "a.json").write_text(text)
    assert run_part(played_part("a"), played, quick=False).summary["value"] == 1


def test_figures_are_of_this_run(played: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that dies leaves no figures, whatever a run before has left."""
    played.mkdir()
    assert run_part(played_part("a"), played, quick=False).summary
    monkeypatch.setattr(part, "result_key", lambda module, settings: "other sources")
    died = run_part(replace(played_part("a"), module="there_is_no_such_module"), played, quick=False)
    assert (died.passed, died.summary) == (False, {})


def test_a_part_that_failed_runs_again(played: Path) -> None:
    played.mkdir()
    failed = [run_part(played_part("a", "--fail"), played, quick=False) for _ in range(2)]
    assert [outcome.passed for outcome in failed] == [False, False]
    assert failed[1].summary["value"] == 2


def run(played: Path, *arguments: str) -> Any:
    app = typer.Typer()
    app.command()(command.main)
    return CliRunner().invoke(app, [*arguments, "--output", str(played)])


def test_command(played: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PARTS", (played_part("systems"), played_part("fuzz")))
    result = run(played)
    assert result.exit_code == 0, result.output
    found = json.loads((played / "verify.json").read_text())
    assert found["passed"] is True
    assert found["random"] == found["fuzz"] == {"value": 1, "little": False}
    monkeypatch.setattr(command, "PARTS", (played_part("systems"), played_part("fuzz", "--fail")))
    result = run(played)
    assert result.exit_code == 1
    assert "fuzz: FAILED" in result.output
    assert "a line of fuzz" in result.output
    assert json.loads((played / "verify.json").read_text())["passed"] is False
    assert run(played, "--only", "systems").exit_code == 0


def test_one_part_is_not_the_whole(played: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PARTS", (played_part("systems"), played_part("fuzz")))
    for name, complete in (("systems", False), ("fuzz", True)):
        assert run(played, "--only", name).exit_code == 0
        found = json.loads((played / "verify.json").read_text())
        assert (found["complete"], found["passed"]) == (complete, complete)
    assert set(found["parts"]) == {"systems", "fuzz"}
    result = run(played, "--only", "fuzz", "--write")
    assert result.exit_code == 2
    assert "--write needs a run of all parts" in result.output


def test_quick_is_kept_apart(played: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PARTS", (played_part("systems"),))
    assert run(played, "--quick").exit_code == 0
    found = json.loads((played / "quick" / "verify.json").read_text())
    assert found["quick"] is True
    assert found["random"]["little"] is True
    assert not (played / "verify.json").exists()


def test_unknown_part(played: Path) -> None:
    result = run(played, "--only", "luck")
    assert result.exit_code == 2
    assert "a part of a run must be one of" in result.output
    assert not played.exists()


def test_a_part_that_a_quick_run_does_not_have(played: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has run then, which is no success."""
    monkeypatch.setattr(command, "PARTS", (played_part("systems"), replace(played_part("fuzz"), in_quick=False)))
    result = run(played, "--quick", "--only", "fuzz")
    assert result.exit_code == 2
    assert "a part of a quick run must be one of systems, not 'fuzz'" in result.output.replace("\n", " ")
    assert run(played, "--only", "fuzz").exit_code == 0


def test_parts_are_commands() -> None:
    root = Path(command.__file__).parents[2]
    for entry in PARTS:
        path = root / entry.module.replace(".", "/")
        assert (path / "__main__.py").exists() or path.with_suffix(".py").exists(), entry.module
    assert len({entry.name for entry in PARTS}) == len(PARTS)


def test_report_has_the_figures_of_each_part() -> None:
    proofs = [{"name": "a", "status": "proved", "method": "pdr", "depth": 0, "seconds": 1.0}]
    outcomes = [
        Outcome(name="formal", passed=True, seconds=1.0, summary={"proofs": 1, "formal": proofs}, log=""),
        Outcome(name="systems", passed=True, seconds=1.0, summary={"systems": 500, "failures": 0}, log=""),
        Outcome(name="mutants", passed=True, seconds=1.0, summary={"run": 600, "killed": 590}, log=""),
        Outcome(name="formal_mutants", passed=True, seconds=1.0, summary={"run": 300, "killed": 290}, log=""),
        Outcome(name="faults", passed=False, seconds=1.0, summary={"injected": 9, "reported": 8}, log=""),
    ]
    found = report(outcomes, parts=[outcome.name for outcome in outcomes], quick=False)
    assert found["formal"] == proofs
    assert found["random"] == {"systems": 500, "failures": 0}
    assert found["mutants"]["run"] == 600
    assert (found["mutants"]["formal_run"], found["mutants"]["formal_killed"]) == (300, 290)
    assert found["faults"] == {"injected": 9, "reported": 8}
    assert found["passed"] is False
