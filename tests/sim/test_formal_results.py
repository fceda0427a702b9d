"""What is proved again and what is not, and what the command says."""

import json
from pathlib import Path

import pytest
from amaranth.hdl import Assert, Elaboratable, Module, Signal

import ssvq_sim.formal.__main__ as command
from ssvq_gen.toolbox import ToolError
from ssvq_sim.formal.__main__ import chosen, main
from ssvq_sim.formal.engines import Status, prove
from ssvq_sim.formal.proof import Method, Proof
from ssvq_sim.formal.proofs import all_proofs
from ssvq_sim.formal.results import RESULTS, run_proofs
from ssvq_sim.formal.rules import never_reset


class Counting(Elaboratable):
    """A counter that stops at 5 in a module of its own."""

    def __init__(self, most: int) -> None:
        self._most = most

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = Module()
        count = Signal(4)
        with dut.If(count != 5):
            dut.d.sync += count.eq(count + 1)
        never_reset(m)
        m.d.comb += Assert(count <= self._most)
        return m


def counting(most: int, method: Method = Method.PDR, depth: int = 0) -> Proof:
    return Proof(name="counting", claim="it stops", build=lambda: Counting(most), method=method, depth=depth)


@pytest.mark.parametrize(
    ("method", "depth", "most", "status"),
    [
        (Method.PDR, 0, 5, Status.PROVED),
        (Method.PDR, 0, 4, Status.FAILED),
        (Method.BOUNDED, 5, 4, Status.PROVED),
        (Method.BOUNDED, 7, 4, Status.FAILED),
        (Method.INDUCTION, 8, 5, Status.PROVED),
        (Method.INDUCTION, 2, 7, Status.UNKNOWN),
    ],
)
def test_methods(method: Method, depth: int, most: int, status: Status, tmp_path: Path) -> None:
    assert prove(counting(most, method, depth), tmp_path).status is status


def test_only_what_changed_is_proved_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run_proofs([counting(5)], tmp_path)
    assert json.loads((tmp_path / RESULTS).read_text()) == [
        {"name": "counting", "status": "proved", "method": "pdr", "depth": first[0].depth, "seconds": first[0].seconds}
    ]

    def none(*args: object) -> None:
        raise ToolError("asked again")

    monkeypatch.setattr("ssvq_sim.formal.results.prove", none)
    assert run_proofs([counting(5)], tmp_path) == first
    for arguments in (([counting(4)], False), ([counting(5, Method.BOUNDED, 3)], False), ([counting(5)], True)):
        with pytest.raises(ToolError, match="asked again"):
            run_proofs(arguments[0], tmp_path, again=arguments[1])


def test_the_command_names_what_is_not_proved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "all_proofs", lambda: [counting(4)])
    assert main(["--output", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "FAILED counting, see" in said.err
    assert "it stops" in said.out


def test_proofs_are_chosen_by_name_and_pattern(capsys: pytest.CaptureFixture[str]) -> None:
    names = [proof.name for proof in all_proofs()]
    assert len(set(names)) == len(names)
    assert {proof.name for proof in chosen(["xcup_split", "ecp5_row"])} == {"xcup_split", "ecp5_row"}
    assert len(chosen([])) == len(names)
    assert {proof.name for proof in chosen(["converter_*"])} == {name for name in names if name[:10] == "converter_"}
    assert 0 < len(chosen([], quick=True)) < len(names)
    assert main(["rows"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: a proof must be one of ")
    assert message.endswith("not 'rows'\n")
    assert main(["--list"]) == 0
    assert names[0] in capsys.readouterr().out


def test_bad_proofs_are_refused() -> None:
    with pytest.raises(ValueError, match=r"counting: depth is for induction and bounded proofs, not 3 pdr"):
        counting(5, Method.PDR, 3)
    with pytest.raises(ValueError, match="counting: checks are for structure and no other method, not structure"):
        counting(5, Method.STRUCTURE)
