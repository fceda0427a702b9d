"""Mutants: Yosys makes them of a small module; how verdicts are kept, reported and explained, with a judge made up."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ssvq.program import place_input, read_output
from ssvq_gen.config import PRESETS, ConfigError
from ssvq_gen.format import ErrorCode
from ssvq_gen.registers import REGISTER_BY_NAME
from ssvq_gen.toolbox import run_yosys
from ssvq_sim.mutants.__main__ import main
from ssvq_sim.mutants.bench import turns
from ssvq_sim.mutants.fork import Copy, allow, fork
from ssvq_sim.mutants.kept import KeptVerdicts
from ssvq_sim.mutants.mutation import Mutation, MutationError, cells_of, module_of
from ssvq_sim.mutants.report import make_report, results_table
from ssvq_sim.mutants.run import choose, judge_all
from ssvq_sim.mutants.survivors import Explanation, Explanations, Kind, SurvivorsError, read_explanations
from ssvq_sim.mutants.verdict import Verdict
from ssvq_sim.mutants.verilog import MutatedVerilog, mutated_verilog, shares, void_mutants
from ssvq_sim.runner import SimulationError
from ssvq_sim.scenarios.late_errors import preceded
from ssvq_sim.scenarios.odd_descriptors import odd_descriptors
from ssvq_sim.scenarios.register_scenes import IdleRegisters
from ssvq_sim.scenarios.scenario import JobScenario
from ssvq_sim.scenarios.workload import workload
from ssvq_sim.systems.core_model import CoreModel
from ssvq_sim.systems.work import GOOD

VERILOG = """
module top(input [3:0] a, input [3:0] b, output [3:0] sum, output [3:0] other);
  adder first(.a(a), .b(b), .sum(sum));
  assign other = sum ^ a;
endmodule
module adder(input [3:0] a, input [3:0] b, output [3:0] sum);
  assign sum = a + b;
endmodule
"""
COMMAND = r"mutate -mode cnot0 -module top -cell $flatten\first.\inner.$add$f.v:7$1 -port A -portbit 2 -ctrlbit 1"
LINE = f"{COMMAND} -src f.v:7.3"
NOTHING = Explanations(count=1, seed=0, of={})


def mutation(number: int, module: str = "top.first") -> Mutation:
    return Mutation(mode="inv", module=module, top="top", place=f"$cell Y {number}", lines=(2,))


def verdict(number: int, scenario: str | None = None) -> Verdict:
    return Verdict(number=number, scenario=scenario, problem="", seconds=0.1)


# What Yosys makes


def test_a_line_of_yosys() -> None:
    found = Mutation.parse(LINE)
    assert found.module == "top.first.inner"
    assert found.lines == (7,)
    assert found.command("select", 3, 5) == f"{COMMAND} -ctrl select 3 5"
    assert found.describe().endswith("in top.first.inner is inverted while its bit 1 is 0")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("proc -norom", "this is no mutation: 'proc -norom'"),
        (LINE.replace("-portbit 2", ""), "this is no mutation"),
        (LINE.replace("cnot0", "swap"), "the mode must be one of inv, const0, const1, cnot0, cnot1, not 'swap'"),
    ],
)
def test_other_lines(line: str, message: str) -> None:
    with pytest.raises(MutationError, match=message):
        Mutation.parse(line)


def test_modules_of_cells() -> None:
    assert module_of("top", "$procmux$3") == "top"
    assert module_of("top", r"$flatten\a$1.\b.$mul$source.v:9$2") == "top.a$1.b"
    assert cells_of("top", "top.a$1.b") == r"c:$flatten\a$1.\b.* c:$flatten\a$1.\b.\* %d"


def test_every_module_has_its_share() -> None:
    assert shares({"a": 90, "b": 9, "c": 1}, 20, least=2) == {"a": 15, "b": 3, "c": 2}
    with pytest.raises(ValueError, match="count must be at least 6 for 3 modules, not 5"):
        shares({"a": 90, "b": 9, "c": 1}, 5, least=2)


@pytest.fixture(scope="module")
def mutated(tmp_path_factory: pytest.TempPathFactory) -> MutatedVerilog:
    folder = tmp_path_factory.mktemp("mutants")
    (folder / "top.v").write_text(VERILOG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSVQ_CACHE", str(folder / "cache"))
        return mutated_verilog(folder / "top.v", "top", count=12, least=3)


def test_mutants_of_a_small_module(mutated: MutatedVerilog) -> None:
    """Modules have their share; with selector 0 the solver finds no difference, and for almost every mutant one."""
    modules = [mutation.module for mutation in mutated.mutations]
    assert len(modules) == 12
    assert min(modules.count("top"), modules.count("top.first")) >= 3
    assert mutated.width == 4
    folder = mutated.path.parent
    proofs = "; ".join(f"log MUTANT; sat -set in_mutant {number} -prove trigger 0 miter" for number in range(13))
    log = run_yosys(
        f"read_verilog {mutated.source.name}; hierarchy -top top; flatten; rename top gold; add -input mutant 4 gold;"
        f" read_verilog {mutated.path.name}; rename top gate;"
        f" miter -equiv -flatten gold gate miter; {proofs}",
        cwd=folder,
    )
    same = ["no model found: SUCCESS" in part for part in log.split("\nMUTANT\n")[1:]]
    assert len(same) == 13
    assert same[0]
    assert sum(same[1:]) <= 1


def test_mutants_of_what_does_not_matter() -> None:
    verilog = """
  assign _1_ = mutant == 4'h1;
  assign _2_ = mutant == 4'ha;
  assign _3_ = mutant == 4'hb;
  assign _4_ = mutant == 4'hc;
  assign _5_ = _1_ ? 1'h0 : 1'h0;
  assign _6_ = _2_ ? 1'h0 : _9_;
  assign \\a.b [3] = _3_ ? _7_ : 1'hx;
  assign _8_ = _4_ ? 1'h1 : 1'h0;
  assign _9_ = other ? 1'h1 : 1'h1;
"""
    assert void_mutants(verilog) == {1, 0xB}


# Copies of a process


def test_a_copy_says_something_and_ends() -> None:
    copy = fork(5)
    if isinstance(copy, Copy):
        os.write(copy.pipe, b"first\n")
        copy.end("second")
    assert copy.said == "first\nsecond"
    assert copy.code == 0
    assert not copy.out_of_time


def test_a_copy_that_does_not_end() -> None:
    copy = fork(30)
    if isinstance(copy, Copy):
        allow(1)
        os.write(copy.pipe, b"begun")
        while True:
            pass
    assert copy.said == "begun"
    assert copy.out_of_time


# Verdicts


def test_verdicts_are_kept_and_name_what_comes_first(tmp_path: Path) -> None:
    chosen = {1: mutation(1), 2: mutation(2)}
    asked: list[tuple[int, Sequence[str]]] = []

    def judge(number: int, first: Sequence[str]) -> Verdict:
        asked.append((number, first))
        return verdict(number, "good" if number == 1 else None)

    path = tmp_path / "verdicts.jsonl"
    results = judge_all(chosen, judge, KeptVerdicts(path), "a")
    assert [found.killed for _, found in results.values()] == [True, False]
    assert sorted(number for number, _ in asked) == [1, 2]
    last, _ = asked[-1]
    path.write_text(path.read_text()[:-20])  # the process died while it wrote
    assert judge_all(chosen, judge, KeptVerdicts(path), "a") == results
    assert [number for number, _ in asked[2:]] == [last]
    judge_all({1: mutation(1)}, judge, KeptVerdicts(path), "b")  # another core or other scenarios
    assert asked[3:] == [(1, ["good"])]


def test_what_kills_most_comes_first(tmp_path: Path) -> None:
    asked: list[Sequence[str]] = []

    def judge(number: int, first: Sequence[str]) -> Verdict:
        asked.append(first)
        return verdict(number, "rare" if len(asked) == 1 else "often")

    judge_all({n: mutation(n) for n in range(1, 5)}, judge, KeptVerdicts(tmp_path / "verdicts.jsonl"), "a")
    assert asked == [[], ["rare"], ["rare", "often"], ["often", "rare"]]


def test_modules_that_were_asked_for() -> None:
    mutations = mutation(1), mutation(2, "top.second"), mutation(3)
    assert list(choose(mutations, ("second",))) == [2]
    assert list(choose(mutations, ())) == [1, 2, 3]
    with pytest.raises(ConfigError, match="there is no module 'third'; there are top.first, top.second"):
        choose(mutations, ("first", "third"))


# The report


def report_of(explained: dict[str, Explanation], *, count: int = 40, alive: int = 1) -> tuple[list[str], float]:
    """Problems and score of 40 mutants, of which the first `alive` survive."""
    drawn = [mutation(number) for number in range(1, 41)]
    results = {n: (m, verdict(n, None if n <= alive else "good")) for n, m in enumerate(drawn, start=1)}
    report = make_report(
        results,
        Explanations(count=count, seed=0, of=explained),
        drawn=drawn,
        source=["first", "  second"],
        count=40,
        seed=0,
        scenarios=3,
    )
    json.dumps(report.to_dict())
    assert len(report.survivors) == alive
    assert report.survivors[0].line == "2: second"
    assert results_table(report).row_count == 2
    return list(report.problems), report.total.score


def test_a_survivor_has_to_be_explained() -> None:
    same, far = (Explanation(kind=kind, reason="because") for kind in Kind)
    assert report_of({}) == (["mutant 1 survives and is not explained: inv $cell Y 1"], 39 / 40)
    assert report_of({str(mutation(1)): same}) == ([], 1.0)
    assert report_of({str(mutation(1)): far}) == ([], 39 / 40)


def test_too_many_survivors() -> None:
    explained = {str(mutation(number)): Explanation(kind=Kind.UNREACHED, reason="far") for number in range(1, 4)}
    assert report_of(explained, alive=3) == (["92.5% of the mutants are killed, fewer than 95%"], 37 / 40)


def test_explanations_that_explain_nothing() -> None:
    same = Explanation(kind=Kind.EQUIVALENT, reason="because")
    explained = {str(mutation(number)): same for number in (1, 2, 99)}
    killed = "inv $cell Y 2 is explained as equivalent, but it is killed"
    assert report_of(explained)[0] == [killed, "inv $cell Y 99 is explained, but there is no such mutant"]
    assert report_of(explained, count=600)[0] == [killed]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[drawn", "survivors.toml: "),
        ("[[survivor]]\nmutation = 'x'", "survivor 1 must have exactly kind, mutation, reason"),
        (
            "[[survivor]]\nmutation = 'x'\nkind = 'odd'\nreason = 'y'",
            "kind must be one of equivalent, unreached, not 'odd'",
        ),
        ("[[survivor]]\nmutation = 'x'\nkind = 'equivalent'\nreason = ' '", "survivor 1: a reason must be given"),
        ("[[survivor]]\nmutation = 'x'\nkind = 'unreached'\nreason = 'y'\n" * 2, "survivor 2: x is explained twice"),
        ("[drawn]\ncount = 5", r"\[drawn\] must have the count and the seed"),
    ],
)
def test_bad_explanations(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "survivors.toml"
    path.write_text(text)
    with pytest.raises(SurvivorsError, match=message):
        read_explanations(path)


def test_our_explanations_are_read() -> None:
    found = read_explanations()
    assert (found.count, found.seed) == (600, 0)
    assert all(explanation.reason for explanation in found.of.values())


# The rest


def test_the_model_of_idle_registers() -> None:
    config = PRESETS["tiny"]
    model = IdleRegisters(config)
    base, identity = REGISTER_BY_NAME["MEMORY_BASE_LO"].offset, REGISTER_BY_NAME["ID"].offset
    model.write(base + 3, 0x12345678, 0b0110)
    model.write(identity, 0, 0xF)
    assert model.read(base + 1) == 0x00345000
    assert model.read(identity) == REGISTER_BY_NAME["ID"].init
    assert model.read(REGISTER_BY_NAME["DIGEST_HI"].offset) == config.digest >> 32
    assert model.read(0x400) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--count", "0"], 2, "--count must be 1 or more, not 0"),
        (["--seed", "-1"], 2, "--seed must be 0 or more, not -1"),
    ],
)
def test_bad_arguments(arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == code
    assert message in capsys.readouterr().err


def test_a_core_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fails(*_: object, **__: object) -> None:
        raise SimulationError("the core itself fails in 'good': wrong")

    monkeypatch.setattr("ssvq_sim.mutants.__main__.run_mutants", fails)
    start = time.monotonic()
    assert main([]) == 1
    assert time.monotonic() - start < 5
    assert "the core itself fails in 'good': wrong" in capsys.readouterr().err


# Scenarios


def test_descriptors_in_front_change_nothing_else() -> None:
    config = PRESETS["tiny"]
    work = preceded(GOOD, 5, config)
    memory = work.program.new_memory()
    for name, x in work.inputs.items():
        place_input(memory, work.program, x, job=name)
    CoreModel(config).run(memory, work.program.descriptor_offset, work.program.descriptor_count)
    assert work.program.descriptor_count == GOOD.program.descriptor_count + 5
    for name, expected in work.expected.items():
        np.testing.assert_array_equal(read_output(memory, work.program, job=name), expected)


def test_odd_descriptors_repeat_and_are_of_all_kinds() -> None:
    config = PRESETS["tiny"]
    first, again = (list(odd_descriptors(config, 2)) for _ in range(2))
    assert [scenario.cases for scenario in first] == [scenario.cases for scenario in again]
    assert first[0].cases != first[1].cases
    codes = {case.code for scenario in first for case in scenario.cases}
    assert codes >= {ErrorCode.NONE, ErrorCode.BAD_DESCRIPTOR, ErrorCode.ACTIVATION_RANGE, ErrorCode.WEIGHT_LENGTH}


def test_scenarios_have_names_of_their_own() -> None:
    names = [scenario.name for scenario in workload(PRESETS["tiny"])]
    assert len(set(names)) == len(names) > 80


def test_scenarios_that_are_named_come_first_and_all_follow_in_their_own_order() -> None:
    scenarios = [JobScenario(job=GOOD.job(name), check=lambda result, before: []) for name in ("a", "b", "c", "d")]
    found = turns(scenarios, ["gone", "d", "b", "d"])
    assert [[scenario.name for scenario in turn] for turn in found] == [["d", "b"], ["a", "b", "c", "d"]]
    assert turns(scenarios, ["gone"]) == [scenarios]
