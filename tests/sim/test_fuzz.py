"""Fuzzing finds what is planted, blames no reader that is right, and goes on where it stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import planted_readers as planted
import pytest

from ssvq_sim.fuzz import progress_file
from ssvq_sim.fuzz.command import main
from ssvq_sim.fuzz.examples import run_block
from ssvq_sim.fuzz.execution import Judge
from ssvq_sim.fuzz.findings import FindingFolder
from ssvq_sim.fuzz.limits import SECONDS_MAX
from ssvq_sim.fuzz.process import WorkerError
from ssvq_sim.fuzz.run import Settings, fuzz
from ssvq_sim.fuzz.target import TARGET_NAMES, Target, find_target


def found_in(target: Target, folder: Path, *, examples: int = 600, seconds: float = SECONDS_MAX) -> set[str]:
    """Kinds of what the examples of the first blocks show."""
    judge = Judge(target, folder, seconds=seconds)
    judge.warm_up()
    kinds: set[str] = set()

    def read(content: bytes) -> None:
        if not kinds and (finding := judge.finding(content)):
            kinds.add(finding.kind)

    for block in range(3):
        run_block(target, block, examples // 3, read)
    return kinds


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        (planted.RAISES_KEY_ERROR, "untyped error"),
        (planted.HANGS, "hang"),
        (planted.ALLOCATES, "memory"),
        (planted.HIDES_WHAT_IT_ALLOCATES, "memory"),
        (planted.ACCEPTS_DAMAGE, "unequal"),
        (planted.RUNS_CODE, "code"),
        (planted.WRITES_FILES, "code"),
        (planted.SAYS_NOTHING, "no text"),
    ],
    ids=lambda value: value.name if isinstance(value, Target) else "",
)
def test_examples_find_a_planted_fault(target: Target, kind: str, tmp_path: Path) -> None:
    assert found_in(target, tmp_path, seconds=0.3) == {kind}


def test_examples_blame_no_reader_that_is_right(tmp_path: Path) -> None:
    assert not found_in(planted.FAULTLESS, tmp_path)


def settings(folder: Path, target: str, **amounts: float) -> Settings:
    return Settings(output=folder, targets=(f"planted_readers:{target}",), input_seconds=0.3, deaths=2, **amounts)


@pytest.mark.parametrize(("target", "kind"), [("RAISES_KEY_ERROR", "untyped error"), ("HANGS", "hang")])
def test_guided_executions_find_a_planted_fault(target: str, kind: str, tmp_path: Path) -> None:
    report = fuzz(settings(tmp_path, target, examples=0, executions=10000, seconds=2.0))
    assert {saved.finding.kind for saved in report.targets[0].findings} == {kind}
    (saved,) = report.targets[0].findings[:1]
    judge = Judge(find_target(f"planted_readers:{target}"), tmp_path, seconds=0.3)
    again = judge.finding(saved.path.read_bytes())
    assert again is not None
    assert again.signature == saved.finding.signature


def test_the_death_of_a_worker_is_a_finding_and_the_target_is_given_up(tmp_path: Path) -> None:
    report = fuzz(settings(tmp_path, "DIES", examples=2000, executions=0, seconds=0.0))
    (target,) = report.targets
    assert {saved.finding.kind for saved in target.findings} == {"died"}
    assert json.loads(target.findings[0].path.read_bytes())["size"] != 3
    assert not target.complete
    assert not report.to_dict()["complete"]


def test_a_reader_that_waits_is_ended(tmp_path: Path) -> None:
    report = fuzz(replace(settings(tmp_path, "WAITS", examples=300, executions=0, seconds=0.0), silence=1.0))
    assert {saved.finding.kind for saved in report.targets[0].findings} == {"hang"}


def test_a_run_goes_on_and_other_sources_begin_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half = fuzz(settings(tmp_path, "RAISES_KEY_ERROR", examples=100, executions=50, seconds=60.0))
    assert half.to_dict()["examples"] == 100
    assert half.to_dict()["executions"] == 50
    whole = fuzz(settings(tmp_path, "RAISES_KEY_ERROR", examples=150, executions=60, seconds=60.0))
    assert (whole.targets[0].done.examples, whole.targets[0].done.executions) == (150, 60)
    assert whole.targets[0].done.starts == 2
    assert whole.crashes == half.crashes == 1
    again = fuzz(settings(tmp_path, "RAISES_KEY_ERROR", examples=150, executions=60, seconds=60.0))
    assert again.to_dict() == whole.to_dict()
    finding = again.targets[0].findings[0].path
    monkeypatch.setattr(progress_file, "sources_digest", lambda: "other")
    folder = progress_file.TargetFolder(tmp_path, "planted_readers:RAISES_KEY_ERROR")
    assert folder.done() == progress_file.Done()
    assert not FindingFolder(folder.findings_path).all()
    assert (folder.path / "corpus" / finding.name).is_file()


def test_a_target_that_cannot_be_imported_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="No module named 'nowhere'"):
        fuzz(Settings(output=tmp_path, targets=("nowhere:TARGET",), examples=1))


@pytest.mark.parametrize("name", TARGET_NAMES)
def test_a_target_comes_apart_and_together(name: str, tmp_path: Path) -> None:
    target = find_target(name)
    assert target.name == name
    seeds = target.seeds()
    assert seeds == target.seeds()
    judge = Judge(target, tmp_path)
    judge.warm_up()
    for seed in seeds:
        rebuilt = target.together(target.apart(seed))
        target.read(rebuilt)
        if target.write is not None:
            assert target.write(target.read(rebuilt)) == target.write(target.read(seed))
        if target.repaired is not None:
            target.read(target.repaired(seed))


def test_the_command_writes_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--only", "program", "--examples", "30", "--executions", "20", "--output", str(tmp_path)]
    assert main(arguments) == 0
    written = json.loads((tmp_path / "fuzz.json").read_text())
    assert {key: written[key] for key in ("examples", "executions", "crashes")} == {
        "examples": 30,
        "executions": 20,
        "crashes": 0,
    }
    assert written["targets"]["program"]["complete"]
    assert "program" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--only", "nothing"], "a target must be one of"),
        (["--examples", "-1"], "--examples must be 0 or more, not -1"),
        (["--jobs", "0"], "--jobs must be 1 or more, not 0"),
        (["--replay", "x"], "--replay must have one target with --only"),
    ],
)
def test_wrong_arguments(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert text in capsys.readouterr().err


def test_replay_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "input").write_bytes(b"nothing")
    assert main(["--only", "config", "--replay", str(tmp_path / "input")]) == 0
    assert "nothing is wrong" in capsys.readouterr().out
