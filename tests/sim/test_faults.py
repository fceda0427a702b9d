"""The campaign of faults: what it injects, and that it names what is wrong. `make faults` runs all of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from ssvq_gen.format import DESCRIPTOR_FIELDS, ErrorCode, Opcode
from ssvq_sim.behaviour import BusTimes, JobError, JobResult
from ssvq_sim.faults import campaign
from ssvq_sim.faults.beats import every_beat
from ssvq_sim.faults.campaign import RESETS, WRITES, GroupResult, group_names, inject, injections
from ssvq_sim.faults.command import main, run, summary
from ssvq_sim.faults.flips import flips
from ssvq_sim.faults.injection import REPORT_CYCLES, REQUEST_CYCLES, Injection, of_case, problems_of_times
from ssvq_sim.runner import SimulationError
from ssvq_sim.systems.error_cases import GROUPS
from ssvq_sim.systems.work import GOOD

FAILED = JobResult(
    name="job",
    outputs={},
    counters={},
    cycles=1,
    wall_seconds=0.0,
    read_beats=0,
    write_beats=0,
    stray=None,
    error=None,
)
STRAY = "byte 0x40 of DRAM changed, which is outside all outputs"
PROMPT = BusTimes(first_error=100, last_request=100 + REQUEST_CYCLES, interrupt=100 + REPORT_CYCLES)


def test_the_campaign_is_large_and_its_names_are_unlike() -> None:
    groups = {name: list(make()) for name, make in injections(1).items()}
    for name, faults in groups.items():
        assert len({fault.name for fault in faults}) == len(faults), name
    assert sum(map(len, groups.values())) >= 500
    assert RESETS >= 200
    assert WRITES > 0
    assert set(group_names()) == {*GROUPS, "beats", "flips", "host"}


def test_every_beat_of_the_longest_bursts() -> None:
    faults = every_beat()
    for kind, count in (
        ("weights", 16),
        ("LOAD", 16),
        ("STORE", 16),
        ("descriptor", 16),
        ("LOAD beside another", 16),
        ("STORE beside another", 16),
    ):
        for response in (2, 3):
            names = [f.name for f in faults if f"of {kind}," in f.name and f.name.endswith(f"response {response}")]
            assert len(names) == count, kind


def test_flips_reach_every_field_of_every_opcode() -> None:
    names = [fault.name for fault in flips(3)]
    for opcode in Opcode:
        for field in DESCRIPTOR_FIELDS:
            if field.belongs_to(opcode):
                assert sum(f" of {field.name} in" in n and n.endswith(f", {opcode.name}") for n in names) == 1
    assert [fault.name for fault in flips(3)] == names
    assert [fault.name for fault in flips(4)] != names


def test_flips_know_what_they_must_give() -> None:
    faults = {fault.name.split(" of ")[1]: fault for fault in flips(3) if fault.reported}
    fault = next(f for name, f in faults.items() if name.startswith("magic in descriptor 0"))
    assert fault.judge(FAILED, (0, 0))[0].startswith("it did not fail")
    error = JobError(type="InvalidJob", message="no", code=int(ErrorCode.BAD_DESCRIPTOR), descriptor=0)
    assert fault.judge(replace(FAILED, error=error), (0, 0)) == []
    assert fault.judge(replace(FAILED, error=replace(error, descriptor=1)), (0, 0))
    assert fault.judge(replace(FAILED, error=error, stray=64), (0, 0)) == [STRAY]
    assert fault.judge(replace(FAILED, error=replace(error, code=int(ErrorCode.DRAM_RANGE))), (0, 0))


def test_flips_of_which_anything_may_come_have_to_end_and_to_write_nothing_else() -> None:
    fault = next(fault for fault in flips(3) if " of vectors_open " in fault.name)
    assert fault.judge(FAILED, (0, 0)) == []
    assert fault.judge(replace(FAILED, stray=64), (0, 0)) == [STRAY]
    late = JobError(type="JobTimeout", message="no end")
    assert fault.judge(replace(FAILED, error=late), (0, 0)) == ["the driver raised JobTimeout: no end"]


@pytest.mark.parametrize(
    ("times", "problem"),
    [
        (PROMPT, None),
        (None, None),
        (BusTimes(first_error=0, last_request=900, interrupt=0), None),
        (replace(PROMPT, last_request=PROMPT.last_request + 1), "a burst was offered 5 cycles after the error"),
        (replace(PROMPT, interrupt=PROMPT.interrupt + 1), "the error came at cycle 100 and the interrupt at 105"),
        (replace(PROMPT, interrupt=0), "the interrupt at 0"),
        (replace(PROMPT, interrupt=100), "the interrupt at 100"),
    ],
)
def test_times(times: BusTimes | None, problem: str | None) -> None:
    found = problems_of_times(times)
    assert len(found) == (problem is not None)
    assert problem is None or problem in found[0]


class FakeSession:
    """Gives back what the test says, job by job."""

    def __init__(self, results: list[JobResult | Exception]) -> None:
        self._results = results

    def __enter__(self) -> FakeSession:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, _job: object) -> JobResult:
        result = self._results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result


def test_what_counts_as_reported_and_as_recovered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault whose judge objects, a good job that is not, and a simulator that stops: each counts for itself."""
    right, objected, spoilt, stopped = (
        replace(FAILED, name=name) for name in ("right", "objected", "spoilt", "stopped")
    )
    good = replace(FAILED, name="good")
    results = [right, good, objected, good, spoilt, replace(good, name="bad"), SimulationError("gone")]
    monkeypatch.setattr(campaign, "Session", lambda *_, **__: FakeSession(list(results)))
    monkeypatch.setattr(campaign, "problems_of", lambda *args: ["wrong"] if args[3].name == "bad" else [])
    faults = [
        Injection(
            name=result.name,
            job=GOOD.job(result.name),
            judge=lambda found, before: ["not so"] if found.name == "objected" else [],
        )
        for result in (right, objected, spoilt, stopped)
    ]
    found = inject(None, "group", faults)  # type: ignore[arg-type]
    assert (found.injected, found.must_report, found.reported, found.recovered) == (4, 4, 2, 2)
    assert found.problems == {
        "objected": ["not so"],
        "spoilt": ["the next job: wrong"],
        "stopped": ["SimulationError: gone", "the next job: not run"],
    }


def test_an_error_of_the_bus_has_to_be_one() -> None:
    """An answer that never came as an error is no success, whatever the driver says."""
    case = next(iter(GROUPS["bus errors"]()))
    error = JobError(
        type=case.error.__name__,
        message="no",
        code=int(case.code or 0),
        descriptor=case.descriptor,
        address=case.address,
        layer=getattr(case.work.program.job_of_descriptor(case.descriptor or 0), "name", None),
    )
    silent = BusTimes(first_error=0, last_request=5, interrupt=9)
    result = replace(FAILED, error=error, times=silent)
    assert "the bus gave no answer that is an error" in of_case(case).judge(result, (0, 0))
    assert of_case(case).judge(replace(result, times=PROMPT), (0, 0)) == []
    stray = of_case(case).judge(replace(result, times=PROMPT, stray=64), (0, 0))
    assert stray == [STRAY]


def test_sums() -> None:
    group = GroupResult(name="a", injected=3, must_report=2, reported=1, recovered=3, problems={"x": ["y"]})
    sums = summary([group, replace(group, name="b")])
    assert (sums["injected"], sums["must_report"], sums["reported"], sums["recovered"]) == (6, 4, 2, 6)


def test_unknown_group(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a group must be one of bus errors, .*, not 'buses'"):
        run(["buses"], seed=1, output=tmp_path / "faults", console=Console())
    assert not (tmp_path / "faults").exists()


def test_help() -> None:
    app = typer.Typer()
    app.command()(main)
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert "host" in result.output
