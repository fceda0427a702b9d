"""Netlists in the co-simulation: what is made of models, netlists and results. `make gates` runs it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from ssvq_gen.toolbox import yosys_share
from ssvq_gen.verilog import TOP
from ssvq_sim.core_verilog import CoreVerilog
from ssvq_sim.gates.command import main
from ssvq_sim.gates.families import FAMILIES, Family
from ssvq_sim.gates.models import ModelError, random_models, require_no_contents, without_initial_values
from ssvq_sim.gates.netlist import Netlist, make_netlist
from ssvq_sim.gates.plants import count_kinds, draw_faults, pins_of, plant
from ssvq_sim.gates.report import FamilyResult, Missed, Report, lines_of_missed, results_table
from ssvq_sim.gates.run import missed_faults
from ssvq_sim.gates.subject import SHALLOW
from ssvq_sim.gates.work import Work, bounded, differences
from ssvq_sim.mutants.verdict import Verdict

ICE40 = FAMILIES["ice40"]
CORE = f"""
module {TOP}(input aclk, input aresetn, input [7:0] a, output reg [15:0] sum);
  reg [7:0] last;
  always @(posedge aclk) begin
    last <= a;
    if (!aresetn) sum <= 0; else sum <= sum + last;
  end
endmodule
"""


def cell(kind: str, inputs: dict[str, list[Any]], outputs: dict[str, list[Any]]) -> dict[str, Any]:
    directions = {**dict.fromkeys(inputs, "input"), **dict.fromkeys(outputs, "output")}
    return {"type": kind, "port_directions": directions, "connections": {**inputs, **outputs}}


def module(cells: dict[str, Any]) -> dict[str, Any]:
    """A flat core of cells in two blocks, whose output is net 9."""
    scopes = {name: {"type": "$scopeinfo", "port_directions": {}, "connections": {}} for name in ("one", "two")}
    ports = {"y": {"direction": "output", "bits": [9]}, "aclk": {"direction": "input", "bits": [2]}}
    return {"ports": ports, "cells": {**scopes, **cells}}


def lut(nets: list[Any], out: int) -> dict[str, Any]:
    return cell("SB_LUT4", {f"I{i}": [net] for i, net in enumerate(nets)}, {"O": [out]})


def flip_flop(d: int, q: int) -> dict[str, Any]:
    return cell("SB_DFF", {"C": [2], "D": [d]}, {"Q": [q]})


SMALL = module(
    {
        **{f"one.lut{i}": lut([3, 4, "0", "x"], 10 + i) for i in range(6)},
        **{f"two.lut{i}": lut([10, 11, 12, 13], 9) for i in range(6)},
        **{f"two.q{i}": flip_flop(14, 20 + i) for i in range(3)},
    }
)


# Models


@pytest.mark.parametrize("name", FAMILIES)
def test_models_of_registers_have_no_initial_values(name: str) -> None:
    text = random_models(FAMILIES[name])
    original = (yosys_share() / FAMILIES[name].models).read_text(encoding="utf-8")
    assert text != original
    assert text.count("endmodule") == original.count("endmodule")
    for value in ("initial Q = 0", "initial Q <= INIT", "initial P = ", "initial Ar2 = ", "= INIT;", "= INIT_A;"):
        assert value not in text
    # Block RAM of iCE40 has ROMs, whose contents stay.
    assert ("= INIT_0[16*i +: 16];" in text) == (name == "ice40")


def test_models_without_initial_values_are_refused() -> None:
    text = "  initial Q <= INIT;\n  reg [15:0] r = INIT;\n  reg [63:0] mem_a = INIT_A;\n  initial begin\n"
    assert without_initial_values(text) == "\n  reg [15:0] r;\n  reg [63:0] mem_a;\n  initial begin\n"
    with pytest.raises(ModelError, match="must have registers with initial values"):
        without_initial_values("module m; endmodule\n")


def test_a_rom_whose_model_would_lose_its_contents_is_refused() -> None:
    def with_memory(kind: str, contents: str) -> dict[str, Any]:
        return module({"one.rom": {**cell(kind, {}, {}), "parameters": {"INIT_A": contents, "IS_WCLK_INVERTED": "1"}}})

    require_no_contents(with_memory("RAM64M", "0000"), FAMILIES["xc7"])
    require_no_contents(with_memory("SB_RAM40_4K", "0100"), ICE40)
    with pytest.raises(ModelError, match="RAM64M one.rom must have no contents, as its model has none, not INIT_A"):
        require_no_contents(with_memory("RAM64M", "0100"), FAMILIES["xc7"])


# Netlists


@pytest.mark.parametrize("name", FAMILIES)
def test_netlists_are_made_as_for_the_report_but_for_options_with_a_reason(name: str) -> None:
    family = FAMILIES[name]
    assert family.target.command in family.script("core.v")
    assert " ".join(family.options) in family.script("core.v")
    assert "; check -assert" in family.script("core.v")
    assert family.reason


@pytest.fixture(scope="module")
def small_netlist(tmp_path_factory: pytest.TempPathFactory) -> Netlist:
    path = tmp_path_factory.mktemp("core") / "core.v"
    path.write_text(CORE, encoding="utf-8")
    return make_netlist(ICE40, CoreVerilog(path=path, models=(), seconds=0.0))


def test_a_netlist_is_made_of_cells(small_netlist: Netlist) -> None:
    assert small_netlist.cells["SB_DFF"] == 8
    assert small_netlist.cells["SB_DFFSR"] == 16
    assert set(small_netlist.cells) <= {"SB_DFF", "SB_DFFSR", "SB_LUT4", "SB_CARRY"}
    verilog = small_netlist.verilog.path.read_text(encoding="utf-8")
    assert verilog.count("  SB_DFFSR ") == 16
    assert "always" not in verilog
    models = small_netlist.verilog.models[0].read_text(encoding="utf-8")
    assert "module SB_DFFSR" in models


def test_faults_are_in_the_netlist_and_have_numbers(small_netlist: Netlist) -> None:
    faults = draw_faults(small_netlist.module, ICE40, count=12, seed=3)
    assert len(faults) == 12
    assert len({fault.mutation.cell for fault in faults}) == 12
    assert set(count_kinds(faults)) == {"look-up table", "flip-flop", "carry"}
    planted = plant(small_netlist, faults)
    assert planted.width == 4
    text = planted.verilog.path.read_text(encoding="utf-8")
    assert "input [3:0] mutant;" in text
    assert all(f"mutant == 4'h{number:x}" in text for number in range(1, 13))
    assert "mutant == 4'h0" not in text
    assert "mutant == 4'hd" not in text
    assert planted.verilog.models == small_netlist.verilog.models


# Faults


def test_pins_that_make_no_difference_get_no_fault() -> None:
    read = {9, 10}
    assert pins_of(lut([3, "0", 4, "x"], 10), ICE40, read) == [("I0", 0), ("I2", 0), ("O", 0)]
    assert pins_of(lut([3, "0", 4, "x"], 11), ICE40, read) == [("I0", 0), ("I2", 0)]
    assert pins_of(flip_flop(3, 10), ICE40, read) == [("D", 0), ("Q", 0)]


def test_faults_follow_from_the_seed_and_are_in_every_block() -> None:
    faults = draw_faults(SMALL, ICE40, count=8, seed=1)
    assert faults == draw_faults(SMALL, ICE40, count=8, seed=1) != draw_faults(SMALL, ICE40, count=8, seed=2)
    blocks = Counter(fault.mutation.module for fault in faults)
    assert blocks.keys() == {"one", "two"}
    assert min(blocks.values()) >= 2
    assert {fault.kind for fault in faults if fault.mutation.module == "two"} == {"look-up table", "flip-flop"}
    for fault in faults:
        name, port, bit = fault.mutation.place.split(" ")
        assert (port, int(bit)) in pins_of(SMALL["cells"][name], ICE40, {9, *range(10, 15)})


def test_too_few_faults_are_refused() -> None:
    with pytest.raises(ValueError, match="count must be at least 4 for 2 modules, not 3"):
        draw_faults(SMALL, ICE40, count=3, seed=1)


def test_a_block_with_few_cells_has_few_faults() -> None:
    few = module({"one.lut": lut([3, 4, 5, 6], 9), "two.lut": lut([3, 4, 5, 6], 9)})
    assert len(draw_faults(few, ICE40, count=10, seed=1)) == 2


# Work


def test_the_core_has_all_formats_and_units_of_tiny_and_work_for_them() -> None:
    assert SHALLOW.vector
    assert SHALLOW.convolution
    assert SHALLOW.attention
    assert len(SHALLOW.formats) == 3
    jobs = Work(cases=3, programs=1).jobs(SHALLOW)
    assert [job.name for job, _ in jobs] == [f"system {number}" for number in range(4)]
    assert all(job.profile for job, _ in jobs)
    assert all(expected for _, expected in jobs)
    assert bounded(jobs[0][0], {"cycles": 1000}).timeout_cycles == 2000


def test_facts_that_differ_are_counted_and_the_first_is_named() -> None:
    facts = {"cycles": 10, "counters.LOADS": 3, "profile.rows[0].begin": 5}
    assert differences(facts, dict(facts)) == []
    (text,) = differences(facts, {**facts, "counters.LOADS": 4, "profile.rows[0].begin": 6})
    assert text == ("2 times or counters are not those of the core's Verilog, the first counters.LOADS: 4, not 3")
    assert differences(facts, {"cycles": 10, "counters.LOADS": 3})


# Results


def result(*, missed: int = 0, problems: dict[int, list[str]] | None = None, family: Family = ICE40) -> FamilyResult:
    return FamilyResult(
        family=family.name,
        title=family.title,
        options=" ".join(family.options),
        reason=family.reason,
        cells={"SB_LUT4": 5, "SB_DFF": 2},
        resources={"lut": 5, "ff": 2, "dsp": 0},
        jobs=4,
        cycles=1000,
        seeds=2,
        problems=problems or {},
        faults={"look-up table": 6, "flip-flop": 4},
        missed=[Missed(kind="look-up table", block="one", fault=f"fault {number}") for number in range(missed)],
        synthesis_seconds=1.234,
        run_seconds=5.0,
    )


def test_a_result_fails_for_a_difference_and_for_faults_that_are_missed() -> None:
    assert result().failures == []
    assert result(missed=1).failures == []
    assert result(missed=2).failures == ["iCE40 UltraPlus: 8 of 10 planted faults are found, fewer than 90%"]
    assert result(problems={2: ["system 0: wrong"]}).failures == ["iCE40 UltraPlus, seed 2: system 0: wrong"]


def test_the_report_is_json_and_a_table() -> None:
    report = Report(config=SHALLOW, families=[result(missed=1), result(problems={1: ["wrong"]})])
    data = json.loads(json.dumps(report.to_dict()))
    assert data["config"]["name"] == "shallow"
    assert data["failures"] == report.failures
    first, second = data["families"]
    assert (first["planted"], first["found"], first["synthesis_seconds"]) == (10, 9, 1.2)
    assert second["problems"] == {"1": ["wrong"]}
    assert results_table(report).row_count == 2
    assert list(lines_of_missed(report.families[0])) == ["iCE40 UltraPlus, one: not found: fault 0"]


def test_faults_without_a_verdict_that_kills_are_missed() -> None:
    faults = draw_faults(SMALL, ICE40, count=8, seed=1)[:2]
    verdicts = [
        Verdict(number=1, scenario="system 0", problem="wrong", seconds=0.1),
        Verdict(number=2, scenario=None, problem="", seconds=0.1),
    ]
    (missed,) = missed_faults(faults, verdicts)
    assert missed.fault == str(faults[1])


def test_a_family_that_is_none_is_named(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(main)
    outcome = CliRunner().invoke(app, ["--only", "ecp5", "--output", str(tmp_path)])
    assert outcome.exit_code == 2
    assert "a family must be one of ice40, xc7, not 'ecp5'" in outcome.output
