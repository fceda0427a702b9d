"""Mutants are drawn from the component, refused by good properties and not by weak ones, and not run twice."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from amaranth.hdl import Assert, Module, Signal

from ssvq_gen.toolbox import ToolError
from ssvq_rtl.axi_lite import AxiLiteSlave
from ssvq_sim.formal.axi_lite import Registers, lite_proofs
from ssvq_sim.formal.mutants import command, run
from ssvq_sim.formal.mutants.command import RESULTS
from ssvq_sim.formal.mutants.judge import Fate, draw, is_read, mutable
from ssvq_sim.formal.mutants.report import SURVIVORS_FILE, make_report
from ssvq_sim.formal.mutants.run import Mutant, run_mutants
from ssvq_sim.formal.proof import Method, Proof
from ssvq_sim.formal.proofs import all_proofs
from ssvq_sim.formal.rules import never_reset
from ssvq_sim.mutants.survivors import Explanation, Explanations, Kind, read_explanations


class Weak(Registers):
    """Says of the registers' bus only that data that is written is held."""

    def _writes(self, m: Module) -> None:
        m.d.comb += Assert(~self._dut.bus.write_en | ~self._dut.axi.wready)

    def _reads(self, m: Module) -> None:
        pass


class Open(Weak):
    """Leaves an input open."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = self._dut = AxiLiteSlave()
        never_reset(m)
        self._writes(m)
        return m


class Late(Weak):
    """Says something that is not so after some cycles."""

    CYCLES = 6

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        count = Signal(range(self.CYCLES + 1))
        with m.If(count != self.CYCLES):
            m.d.sync += count.eq(count + 1)
        m.d.comb += Assert(count != self.CYCLES)
        return m


LITE = lite_proofs()[0]
WEAK = replace(LITE, name="weak", build=Weak)


def fates(proof: Proof, folder: Path, count: int) -> list[Fate]:
    return [mutant.fate for mutant in run_mutants({proof.name: [proof]}, folder, count=count, seed=1)]


def test_good_properties_refuse_mutants_and_results_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run_mutants({"lite": [LITE]}, tmp_path, count=4, seed=1)
    counted = [mutant for mutant in first if mutant.fate is not Fate.OUTSIDE]
    assert len(counted) == 4
    assert {mutant.fate for mutant in counted} == {Fate.KILLED}
    assert all("-module top.dut " in mutant.mutation for mutant in first)

    def none(*args: object) -> None:
        raise ToolError("asked again")

    monkeypatch.setattr(run, "fate_of", none)
    assert run_mutants({"lite": [LITE]}, tmp_path, count=4, seed=1) == first
    with pytest.raises(ToolError, match="asked again"):
        run_mutants({"lite": [LITE]}, tmp_path, count=4, seed=2)


def test_weak_properties_do_not(tmp_path: Path) -> None:
    found = fates(WEAK, tmp_path, 3)
    assert Fate.OUTSIDE in found or Fate.SURVIVED in found


def test_all_proofs_of_a_component_judge_its_mutants(tmp_path: Path) -> None:
    alone = run_mutants({"weak": [WEAK]}, tmp_path / "alone", count=6, seed=1)
    weak, lite = (replace(proof, component="slave") for proof in (WEAK, LITE))
    assert mutable([weak, lite]) == {"slave": [weak, lite]}
    both = run_mutants(mutable([weak, lite]), tmp_path / "both", count=6, seed=1)
    survivors = {mutant.mutation for mutant in alone if mutant.fate is Fate.SURVIVED}
    assert survivors
    assert {mutant.fate for mutant in both if mutant.mutation in survivors} == {Fate.KILLED}


def test_a_component_is_the_same_in_all_of_its_proofs(tmp_path: Path) -> None:
    other = replace(WEAK, name="open", build=Open)
    with pytest.raises(ToolError, match="open and axi_lite do not have the same slave: both must drive all inputs"):
        run_mutants({"slave": [LITE, other]}, tmp_path, count=4, seed=1)


def test_a_bounded_proof_judges_by_its_cycles_alone(tmp_path: Path) -> None:
    late = replace(LITE, name="late", build=Late, method=Method.BOUNDED, depth=Late.CYCLES - 1)
    assert Fate.SURVIVED in fates(late, tmp_path, 3)


def test_places_that_no_property_looks_at_are_outside(tmp_path: Path) -> None:
    drawn = draw(WEAK, tmp_path / "weak", 400, seed=1)
    write = next(m for m in drawn if " -wire bus__write_en " in m)
    read_data = next(m for m in draw(LITE, tmp_path / "lite", 400, seed=1) if " -wire read_data " in m)
    assert is_read(WEAK, write, tmp_path / "weak")
    assert not is_read(WEAK, read_data, tmp_path / "weak")
    assert not any(" -wire rst " in m or " -port CLK " in m or " -wire read_data " in m for m in drawn)


def test_parts_of_the_subject_are_not_changed(tmp_path: Path) -> None:
    for proof in (proof for proofs in mutable(all_proofs()).values() for proof in proofs):
        if proof.name in ("axi_write", "axi_weights", "sign_queue", "fifo_4"):
            drawn = draw(proof, tmp_path / proof.name, 40, seed=1)
            assert len(drawn) > 20, proof.name
            assert not any("-cell $flatten" in m for m in drawn), proof.name


def test_every_part_can_be_asked_about() -> None:
    names = {proof.name for proofs in mutable(all_proofs()).values() for proof in proofs}
    assert {"axi_read", "axi_write", "axi_lite", "job_executor", "converter_32_64", "requantize_rounding"} <= names
    assert "requantize_product" not in names


KILLED, SURVIVOR, OUTSIDE = (
    Mutant(
        component=name,
        mutation=f"mutate -mode inv -module top.dut -cell $3 -port A -portbit {bit} -src {src}",
        fate=fate,
    )
    for name, bit, src, fate in (
        ("one", 0, "here.py:1", Fate.KILLED),
        ("one", 1, "here.py:2", Fate.SURVIVED),
        ("two", 2, "here.py:3", Fate.OUTSIDE),
    )
)
NAME = "one: inv $3 A 1"


def explained(*names: str) -> Explanations:
    reasons = {name: Explanation(kind=Kind.EQUIVALENT, reason="always 0") for name in names}
    return Explanations(count=3, seed=1, of=reasons)


def test_a_survivor_has_to_be_explained() -> None:
    report = make_report([KILLED, SURVIVOR, OUTSIDE], explained(), count=3, seed=1)
    assert report.problems == [
        f"a mutant survives and is not explained: {NAME}",
        "50.0% of the mutants are refused, fewer than 95%",
    ]
    report = make_report([KILLED, SURVIVOR, OUTSIDE], explained(NAME), count=3, seed=1)
    assert not report.problems
    assert report.to_dict() == {
        "run": 2, "killed": 1, "equivalent": 1, "unreached": 0, "score": 1.0, "outside": 1,
        "survivors": [{"mutation": NAME, "reason": "always 0"}], "problems": [],
    }  # fmt: skip


def test_an_explanation_has_to_explain_something() -> None:
    found = make_report([KILLED], explained("one: inv $3 A 0", "one: inv $9 A 0"), count=3, seed=1).problems
    assert found == [
        "one: inv $3 A 0 is explained as equivalent, but it is killed",
        "one: inv $9 A 0 is explained, but there is no such mutant",
    ]
    assert len(make_report([KILLED], explained("one: inv $9 A 0"), count=3, seed=2).problems) == 0


def test_the_projects_explanations_are_of_components_there_are() -> None:
    names = set(mutable(all_proofs()))
    assert {name.partition(":")[0] for name in read_explanations(SURVIVORS_FILE).of} <= names


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command, "all_proofs", lambda: [LITE])
    assert command.main(["--mutants", "2", "--output", str(tmp_path)]) == 0
    assert json.loads((tmp_path / RESULTS).read_text())["killed"] == 2
    assert "PASS" in capsys.readouterr().out
    assert command.main(["--mutants", "0"]) == 2


def test_what_small_components_leave_goes_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there_are = {"axi_lite": 40, "weak": 2}

    def drawn(proof: Proof, folder: Path, count: int, seed: int) -> list[str]:
        folder.mkdir(parents=True)
        return [
            f"mutate -mode inv -module top.dut -cell $3 -port A -portbit {bit}"
            for bit in range(min(count, there_are[proof.name]))
        ]

    monkeypatch.setattr(run, "draw", drawn)
    monkeypatch.setattr(run, "fate_of", lambda proofs, mutation, folder: Fate.KILLED)
    found = run_mutants({"rich": [LITE], "poor": [WEAK]}, tmp_path, count=12, seed=1)
    assert [mutant.component for mutant in found] == ["poor"] * 2 + ["rich"] * 10
