"""Mutants that change nothing anybody sees are proved to; others, and those that the neighbours hide, are not."""

from __future__ import annotations

import pytest

from ssvq_sim.mutants import __main__ as command
from ssvq_sim.mutants.equivalence import modules_around, proving_module
from ssvq_sim.mutants.mutation import Mutation
from ssvq_sim.mutants.survivors import Explanation, Explanations, Kind
from ssvq_sim.mutants.verilog import MutatedVerilog, mutated_verilog

# `count` goes from 0 to 4. `middle` shows it, and `outer` only whether it is 0 while `a` is.
VERILOG = """
module top(input clk, input a, output y);
  outer outer(.clk(clk), .a(a), .y(y));
endmodule
module outer(input clk, input a, output y);
  wire [2:0] count;
  wire odd;
  middle middle(.clk(clk), .a(a), .count(count), .odd(odd));
  assign y = a & (count == 0) & odd;
endmodule
module middle(input clk, input a, output reg [2:0] count = 0, output odd);
  assign odd = count[0] ^ a;
  always @(posedge clk) count <= count == 4 ? 0 : count + 1;
endmodule
"""


@pytest.fixture(scope="module")
def mutated(tmp_path_factory: pytest.TempPathFactory) -> MutatedVerilog:
    source = tmp_path_factory.mktemp("verilog") / "source.v"
    source.write_text(VERILOG)
    return mutated_verilog(source, "top", count=400)


def named(mutated: MutatedVerilog, mode: str, cell: str, place: str) -> Mutation:
    """The only mutation of a kind of cell in `middle`."""
    found = [m for m in mutated.mutations if m.mode == mode and cell in m.place and m.place.endswith(place)]
    return next(m for m in found if m.module == "top.outer.middle")


def test_what_is_never_reached_changes_nothing(mutated: MutatedVerilog) -> None:
    # 5 looks like 4 now, and does not occur; nor does 6
    assert proving_module(mutated, named(mutated, "const0", "$eq$", " A 0")) == "top.outer.middle"
    assert proving_module(mutated, named(mutated, "const0", "$eq$", " A 1")) == "top.outer.middle"


def test_what_makes_a_difference_is_not_proved(mutated: MutatedVerilog) -> None:
    assert proving_module(mutated, named(mutated, "const0", "$eq$", " A 2")) is None
    assert proving_module(mutated, named(mutated, "inv", "$add$", " Y 0")) is None


def test_what_the_module_around_does_not_look_at(mutated: MutatedVerilog) -> None:
    # `odd` is looked at while the count is 0
    assert proving_module(mutated, named(mutated, "const0", "$xor$", " A 0")) == "top.outer"
    assert proving_module(mutated, named(mutated, "const1", "$xor$", " A 0")) is None


def test_modules_from_the_inside() -> None:
    assert list(modules_around("top.a.b")) == ["top.a.b", "top.a"]
    assert list(modules_around("top")) == []


def test_memories_are_not_tried(mutated: MutatedVerilog) -> None:
    mutation = Mutation(mode="inv", module="top.a", top="top", place=r"$flatten\a.$memrd$\storage$f.v:7$1 DATA 1")
    assert proving_module(mutated, mutation) is None


def test_the_command_says_which_are_proved(
    mutated: MutatedVerilog, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hidden, seen = (named(mutated, "const0", "$eq$", f" A {bit}") for bit in (0, 2))
    claims = {str(m): Explanation(kind=Kind.EQUIVALENT, reason="said to be") for m in (hidden, seen)}
    monkeypatch.setattr(command, "draw", lambda _settings: mutated)
    monkeypatch.setattr(command, "read_explanations", lambda: Explanations(count=1, seed=0, of=claims))
    assert command.main(["--prove"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert set(said[:2]) == {f"proved in top.outer.middle: {hidden}", f"not proved: {seen}"}
    assert said[2:] == ["1 of 2 equivalent mutants are proved to be"]
