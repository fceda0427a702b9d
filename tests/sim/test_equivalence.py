"""Netlists are proved to do what their Verilog says; wrong ones, planted after synthesis, are refused."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from pathlib import Path

import pytest
from amaranth.lib.wiring import Component

import ssvq_rtl
from ssvq_gen.synthesis.targets import TARGETS
from ssvq_gen.toolbox import ToolError
from ssvq_gen.verilog import emit_verilog
from ssvq_sim.equivalence import __main__ as command
from ssvq_sim.equivalence import proof, results
from ssvq_sim.equivalence.blocks import BLOCKS, LEFT_OUT, Block, Outside
from ssvq_sim.equivalence.families import FAMILIES
from ssvq_sim.equivalence.proof import Status, Verdict, compare, make_netlist, prove

BY_NAME = {block.name: block for block in BLOCKS}
SETS = """
module SB_DFFSR(output Q, input C, R, D);
  SB_DFFSS _TECHMAP_REPLACE_ (.Q(Q), .C(C), .S(R), .D(D));
endmodule
module SB_DFFESR(output Q, input C, E, R, D);
  SB_DFFESS _TECHMAP_REPLACE_ (.Q(Q), .C(C), .E(E), .S(R), .D(D));
endmodule
"""
STUCK = ("cd block", "connect -set enable 1'1", "cd ..")
PLANTED = {
    "ecp5": {
        "an output that is always 1": (STUCK, Status.DIFFERENT, "enable differs in cycle "),
        "registers that begin as 1": (
            ('setparam -set REGSET "SET" t:TRELLIS_FF',),
            Status.DIFFERENT,
            "differs in cycle 0; not proved equal: ",
        ),
        "registers for the other edge": (
            ('setparam -set CLKMUX "INV" t:TRELLIS_FF',),
            Status.UNKNOWN,
            "not clocked by the rising edge: gate/",
        ),
        "cells that nobody knows": (
            ("chtype -set DP16KD t:LUT4",),
            Status.UNKNOWN,
            "there is no model of block/",
        ),
    },
    "ice40": {
        "cells that there are not": (
            ("chtype -set SB_NEW t:SB_LUT4",),
            Status.UNKNOWN,
            "there is no model of gate/",
        ),
        "an output that is always 1": (STUCK, Status.DIFFERENT, "enable differs in cycle "),
        "look-up tables with the same content": (
            ("setparam -set LUT_INIT 16'h0001 t:SB_LUT4",),
            Status.DIFFERENT,
            "differs in cycle 0; not proved equal: ",
        ),
        "registers that are set by the reset": (
            ("techmap -map sets.v",),
            Status.DIFFERENT,
            "differs in cycle ",
        ),
    },
}


@pytest.fixture(scope="module")
def scoreboards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of the scoreboard's netlists by family."""
    block = BY_NAME["scoreboard"]
    verilog, folder = emit_verilog(block.build()), tmp_path_factory.mktemp("scoreboard", numbered=False)
    for name in PLANTED:
        netlist = make_netlist(block, FAMILIES[name], verilog, folder / name)
        assert netlist.luts >= 30
        assert netlist.registers >= 20
    return {name: folder / name for name in PLANTED}


@pytest.mark.parametrize("family", list(PLANTED))
def test_a_netlist_is_proved(family: str, scoreboards: dict[str, Path]) -> None:
    comparison = compare(FAMILIES[family], scoreboards[family])
    assert (comparison.status, comparison.detail) == (Status.PROVED, "")
    ports = [member for _, member, _ in BY_NAME["scoreboard"].build().signature.flatten(BY_NAME["scoreboard"].build())]
    assert comparison.outputs == sum(member.flow.name == "Out" for member in ports)


@pytest.mark.parametrize(("family", "fault"), [(family, fault) for family in PLANTED for fault in PLANTED[family]])
def test_a_wrong_netlist_is_refused(family: str, fault: str, scoreboards: dict[str, Path]) -> None:
    transform, status, detail = PLANTED[family][fault]
    (scoreboards[family] / "sets.v").write_text(SETS)
    comparison = compare(FAMILIES[family], scoreboards[family], transform=transform)
    assert comparison.status is status
    assert detail in comparison.detail


@pytest.mark.parametrize("family", list(PLANTED))
def test_what_goes_into_a_memory_is_compared(family: str, tmp_path: Path) -> None:
    block = BY_NAME["weight_cache"]
    make_netlist(block, FAMILIES[family], emit_verilog(block.build()), tmp_path)
    wrong = ("cd block", "connect -set memories.write_data[0] 1'0", "cd ..")
    comparison = compare(FAMILIES[family], tmp_path, transform=wrong)
    assert comparison.status is Status.DIFFERENT
    assert comparison.detail.endswith("not proved equal: memories.write_data")


def test_what_is_outside_has_to_be_said(tmp_path: Path) -> None:
    verilog = {name: emit_verilog(BY_NAME[name].build()) for name in ("weight_cache", "resizer")}
    silent = Block(name="weight_cache", part="DMA", build=BY_NAME["weight_cache"].build)
    with pytest.raises(ToolError, match="Assertion failed: selection is not empty"):
        make_netlist(silent, FAMILIES["ecp5"], verilog["weight_cache"], tmp_path)
    for kind in Outside:
        boastful = Block(name="resizer", part="weights", build=BY_NAME["resizer"].build, outside=(kind,))
        with pytest.raises(ToolError, match="Assertion failed: selection contains"):
            make_netlist(boastful, FAMILIES["ecp5"], verilog["resizer"], tmp_path)


def test_a_comparison_that_does_not_end(tmp_path: Path) -> None:
    block = BY_NAME["resizer"]
    verdict = prove(block, FAMILIES["ecp5"], emit_verilog(block.build()), tmp_path, seconds=0.1)
    assert (verdict.status, verdict.detail, verdict.cells) == (Status.UNKNOWN, "no end after 0.1 s", 0)


def test_what_signal_correspondence_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another proof is looked for."""
    block = BY_NAME["resizer"]
    make_netlist(block, FAMILIES["ecp5"], emit_verilog(block.build()), tmp_path)
    monkeypatch.setattr(proof, "CORRESPONDENCE", "strash")
    comparison = compare(FAMILIES["ecp5"], tmp_path, seconds=20)
    assert comparison.status is Status.PROVED


def test_every_component_is_compared_or_has_a_reason() -> None:
    modules = [importlib.import_module(f"ssvq_rtl.{module.name}") for module in pkgutil.iter_modules(ssvq_rtl.__path__)]
    components = {
        name
        for module in modules
        for name, found in vars(module).items()
        if inspect.isclass(found) and issubclass(found, Component) and found.__module__ == module.__name__
    }
    compared = {type(block.build()).__name__ for block in BLOCKS}
    assert compared | LEFT_OUT.keys() == components
    assert not compared & LEFT_OUT.keys()
    assert len({block.name for block in BLOCKS}) == len(BLOCKS)
    assert FAMILIES.keys() <= TARGETS.keys()


def fake(status: Status, detail: str = "") -> Verdict:
    return Verdict(status=status, detail=detail, seconds=1.5, cells=1234, luts=5, registers=6, outputs=7)


def test_results_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def proves(block: Block, family: object, verilog: str, folder: Path, *, seconds: float) -> Verdict:
        asked.append(block.name)
        return fake(Status.UNKNOWN if block.name == "counters" else Status.PROVED)

    monkeypatch.setattr(results, "prove", proves)
    monkeypatch.setattr(results, "emit_verilog", lambda component: type(component).__name__)
    blocks, families = [BY_NAME["resizer"], BY_NAME["counters"]], [FAMILIES["ecp5"]]
    first = results.compare_all(blocks, families, tmp_path)
    assert results.compare_all(blocks, families, tmp_path) == first
    assert asked == ["resizer", "counters", "counters"]  # what is unknown is looked for again
    results.compare_all(blocks[:1], families, tmp_path, again=True)
    results.compare_all(blocks[:1], families, tmp_path, seconds=5)
    assert asked[3:] == ["resizer", "resizer"]
    (tmp_path / "resizer" / "ecp5" / "result.json").write_text("damaged")
    results.compare_all(blocks[:1], families, tmp_path)
    assert asked[5:] == ["resizer"]
    assert json.loads((tmp_path / results.RESULTS).read_text()) == [
        {
            "block": "resizer",
            "part": "weights",
            "family": "ecp5",
            "outside": [],
            "status": "proved",
            "detail": "",
            "seconds": 1.5,
            "cells": 1234,
            "luts": 5,
            "registers": 6,
            "outputs": 7,
        }
    ]


def test_keys() -> None:
    resizer, counters = BY_NAME["resizer"], BY_NAME["counters"]
    ecp5, ice40 = FAMILIES["ecp5"], FAMILIES["ice40"]
    key = results.key_of(resizer, ecp5, "module a; endmodule")
    assert key == results.key_of(counters, ecp5, "module a; endmodule")
    assert key != results.key_of(resizer, ecp5, "module b; endmodule")
    assert key != results.key_of(resizer, ice40, "module a; endmodule")
    assert key != results.key_of(resizer, ecp5, "module a; endmodule", seconds=1)


def test_the_command_refuses_a_wrong_netlist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = proof.pair_script
    wrong = ("cd block", "connect -set o__valid 1'1", "cd ..")
    monkeypatch.setattr(proof, "pair_script", lambda family, transform: right(family, [*transform, *wrong]))
    assert command.main(["resizer", "--family", "ecp5", "--output", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "DIFFERENT" in said.out
    assert "FAIL resizer for ecp5, different: " in said.err
    assert "o__valid" in said.err


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(results, "prove", lambda *_, **__: fake(Status.PROVED))
    monkeypatch.setattr(results, "emit_verilog", lambda component: type(component).__name__)
    assert command.main(["weight_*", "axi_lite", "--family", "xc7", "--output", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert "3 netlists: 3 proved; 3,702 cells in those that are proved" in said.out
    assert not said.err
    assert {line["block"] for line in json.loads((tmp_path / "equivalence.json").read_text())} == {
        "weight_cache",
        "weight_stream",
        "axi_lite",
    }


def test_what_the_command_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["no_such_block"]) == 2
    assert "a block must be one of burst_splitter, load" in capsys.readouterr().err
    assert command.main(["--seconds", "0"]) == 2
    assert "--seconds must be 1 or more, not 0" in capsys.readouterr().err


def test_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in [*BY_NAME, *LEFT_OUT])
