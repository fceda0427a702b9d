"""Unknown values in Icarus Verilog. `make unknowns` runs more jobs, and those on random contents."""

from __future__ import annotations

import asyncio
import json
import re
from functools import partial
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ssvq_gen.format import Opcode
from ssvq_gen.toolbox import ToolError
from ssvq_sim.core_verilog import CoreVerilog, core_verilog
from ssvq_sim.systems.host import SceneFailed
from ssvq_sim.unknowns import command, four_state
from ssvq_sim.unknowns.four_state import FourState, Judged, four_state_jobs, run_four_state
from ssvq_sim.unknowns.four_state_bench import read_all
from ssvq_sim.unknowns.icarus import CHECKS, build_icarus, missing_icarus
from ssvq_sim.unknowns.run import Report
from ssvq_sim.unknowns.subject import CONFIG
from ssvq_sim.unknowns.verilog import without_writes

needs_icarus = pytest.mark.skipif(missing_icarus() is not None, reason=str(missing_icarus()))
RIGHT = Report(registers=7, seeds=1, jobs=1, problems={})


@needs_icarus
@pytest.mark.cosim
def test_nothing_unknown_leaves_the_core() -> None:
    """Before, during and after a job that fails."""
    done: list[int] = []
    good_failing_good = four_state_jobs(programs=0)[:3]
    found = run_four_state(good_failing_good, planted=False, on_job=done.append)
    assert not found.failed, found.problems
    assert done == [1, 2, 3]
    assert found.cycles > 1500


@needs_icarus
@pytest.mark.cosim
def test_plants_are_refused() -> None:
    found = run_four_state(four_state_jobs(programs=0)[:1])
    assert (found.planted, found.planted_missed) == (4, {})


@needs_icarus
@pytest.mark.cosim
def test_a_register_that_no_job_reads_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a plant that is not noticed fails the check."""
    plants = {
        "MEMORY_BASE_HI": (partial(without_writes, register="memory_base_hi"), "s_axil_rdata has an unknown bit"),
        "nothing": (str.strip, "has an unknown bit"),
    }
    monkeypatch.setattr(four_state, "PLANTS", plants)
    found = run_four_state(four_state_jobs(programs=0)[:1])
    assert found.planted_missed == {"nothing": []}
    assert found.failed


@needs_icarus
@pytest.mark.cosim
def test_a_wrong_result_is_found() -> None:
    first = four_state_jobs(programs=0)[0]
    wrong = Judged(job=first.job, problems=lambda result: [f"{len(result.outputs)} outputs"])
    assert run_four_state([wrong], planted=False).problems == ["other: 1 outputs"]


def test_every_output_is_watched() -> None:
    text = core_verilog(CONFIG).path.read_text(encoding="utf-8")
    top = text[text.index("module ssvq_core(") :]
    outputs = re.findall(r"^  output (?:\[[^]]*\] )?(\w+);", top[: top.index("endmodule")], re.MULTILINE)
    checks = CHECKS.read_text(encoding="utf-8")
    watched = re.findall(r"`CONTROL\((\w+)\)|`PAYLOAD\(\w+, (\w+)\)", checks)
    assert len(outputs) > 30
    assert {*map("".join, watched), "m_axi_wdata"} == set(outputs)
    assert 'unknown("m_axi_wdata")' in checks
    payload = re.findall(r"`PAYLOAD\((\w+_)(\w+)valid, \1(\w+)\)", checks)
    assert len(payload) == checks.count("    `PAYLOAD(")
    assert all(name.startswith(channel) for _, channel, name in payload)


def test_jobs_have_all_kinds_of_descriptors() -> None:
    jobs = four_state_jobs()
    programs = [each.job.program for each in jobs if each.job.name.startswith("program")]
    assert {d["opcode"] for program in programs for d in program.descriptors()} == set(Opcode)
    assert any(each.job.behaviour.stalls for each in jobs)
    # What comes first finds memories in which nothing is known, and what fails is followed by another job.
    assert [each.job.name for each in jobs[:3:2]] == ["other", "good"]
    assert jobs[-1].job.name == "program 4"


def test_registers_must_have_their_values_after_the_reset() -> None:
    class Zeros:
        async def read(self, offset: int) -> int:
            return 0 * offset

        async def write(self, offset: int, value: int) -> None:
            raise AssertionError(f"{offset} is written with {value}")

    with pytest.raises(SceneFailed, match="after the reset ID is 0x0, not 0x53535651"):
        asyncio.run(read_all(CONFIG, Zeros()))


def test_writes_can_be_taken_out() -> None:
    text = "  always @(posedge clk)\n    last <= \\$3 ;\n  assign a = last <= b;\n"
    assert without_writes(text, "last") == text.replace("\\$3 ", "last")
    with pytest.raises(ValueError, match="must have a register 'first'"):
        without_writes(text, "first")


def test_without_icarus_the_command_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run_command("--output", str(tmp_path))
    assert result[0] == 2
    assert "iverilog of Icarus Verilog is not installed: sudo apt install iverilog, or" in result[1]
    assert "--two-state" in result[1]
    with pytest.raises(ToolError, match="sudo apt install iverilog"):
        build_icarus(CoreVerilog(path=tmp_path / "core.v", models=(), seconds=0.0))


@pytest.mark.parametrize("arguments", [("--two-state",), ()])
def test_the_half_that_was_left_out_is_said_to_be(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "missing_icarus", lambda: None)
    monkeypatch.setattr(command, "run_seeds", lambda seeds, **others: RIGHT)
    monkeypatch.setattr(command, "run_four_state", lambda jobs, **others: FourState(jobs=3, cycles=4, problems=[]))
    code, text = run_command(*arguments, "--output", str(tmp_path))
    found = json.loads((tmp_path / command.RESULT_FILE).read_text(encoding="utf-8"))["four_state"]
    assert code == 0
    assert ("not tried with unknown values" in text) == (found is None) == bool(arguments)
    assert found is None or (found["jobs"], found["cycles"], found["failures"]) == (3, 4, 0)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (FourState(jobs=3, cycles=4, problems=["good: irq is odd"]), "unknown values: good: irq is odd"),
        (
            FourState(jobs=3, cycles=4, problems=[], planted=1, planted_missed={"irq is z": []}),
            "a core in which irq is z was not refused for it: it was right",
        ),
    ],
)
def test_failures_are_said(found: FourState, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "missing_icarus", lambda: None)
    monkeypatch.setattr(command, "run_seeds", lambda seeds, **others: RIGHT)
    monkeypatch.setattr(command, "run_four_state", lambda jobs, **others: found)
    code, text = run_command("--output", str(tmp_path))
    assert code == 1
    assert said in text
    assert "FAIL: 7 registers" in text


def run_command(*arguments: str) -> tuple[int, str]:
    """Exit code, and what the command printed."""
    app = typer.Typer()
    app.command()(command.main)
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.output
