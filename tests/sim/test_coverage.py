"""Coverage: which points count, what exclusions do, and that a report says what was missed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssvq_sim.coverage.exclusions import ExclusionError, read_exclusions, rule_of
from ssvq_sim.coverage.functional import Functional
from ssvq_sim.coverage.points import Kind, Point, read_points
from ssvq_sim.coverage.report import LIMITS, make_report

VERILOG = r"""module top (clk);
  reg \$auto$verilog_backend.cc:2355:dump_module$1  = 0;
  reg [7:0] words [15:0];
  reg [1:0] state = 2'h0;
  wire [3:0] pair;
  always @* begin
    if (\$auto$verilog_backend.cc:2355:dump_module$1 ) begin end
    if (state[0]) begin
    end
  end
endmodule
"""


def line(kind: str, number: int, what: str, count: int, file: str = "core.v") -> str:
    fields = {
        "f": f"/somewhere/{file}",
        "l": str(number),
        "n": "3",
        "page": f"v_{kind}/top.part",
        "o": what,
        "h": "top",
    }
    return "C '" + "".join(f"\1{name}\2{value}" for name, value in fields.items()) + f"' {count}\n"


@pytest.fixture
def data(tmp_path: Path) -> tuple[Path, Path]:
    verilog, counts = tmp_path / "core.v", tmp_path / "coverage.dat"
    verilog.write_text(VERILOG)
    lines = [
        line("branch", 7, "if", 0),  # the emitter's dummy
        line("branch", 8, "if", 5),
        line("branch", 8, "else", 0),
        line("line", 6, "block", 9),
        line("toggle", 3, "words[3][1]:0->1", 0),  # of a memory
        line("toggle", 4, "state[0]:0->1", 2),
        line("toggle", 4, "state[0]:1->0", 1),
        line("toggle", 4, "state[1]:0->1", 0),
        line("toggle", 5, "__02417[2]:0->1", 0),  # a temporary
        line("toggle", 5, "pair[2]:0->1", 0),  # a structure, whose fields follow
        line("toggle", 5, "pair__02eleft[0]:0->1", 1),
        line("toggle", 5, "pair__02eright[1]:0->1", 0),
        line("branch", 2, "if", 0, file="bench.sv"),
    ]
    counts.write_text("# SystemC::Coverage-3\n" + "".join(lines))
    return counts, verilog


def test_points_that_count(data: tuple[Path, Path]) -> None:
    found = [(point.kind, point.what, point.count) for point in read_points(*data)]
    assert found == [
        (Kind.BRANCH, "if", 5),
        (Kind.BRANCH, "else", 0),
        (Kind.LINE, "block", 9),
        (Kind.TOGGLE, "state[0]:0->1", 2),
        (Kind.TOGGLE, "state[0]:1->0", 1),
        (Kind.TOGGLE, "state[1]:0->1", 0),
        (Kind.TOGGLE, "pair__02eleft[0]:0->1", 1),
        (Kind.TOGGLE, "pair__02eright[1]:0->1", 0),
    ]
    assert read_points(*data)[0].text == "if (state[0]) begin"
    assert read_points(*data)[0].module == "top.part"


def test_other_files_are_refused(data: tuple[Path, Path]) -> None:
    with pytest.raises(ValueError, match=r"must be what a simulator with coverage wrote"):
        read_points(data[1], data[1])


def functional(*, hit: bool = True, problems: tuple[str, ...] = ()) -> Functional:
    """Coverage of one bin."""
    return Functional(counts={"group": {("a", "b"): int(hit)}}, excluded=[], jobs=1, problems=problems)


def exclusions(folder: Path, *rules: str) -> Path:
    path = folder / "exclusions.toml"
    path.write_text("\n".join(f"[[exclusion]]\n{rule}" for rule in rules))
    return path


def test_exclusions_take_out_what_was_missed_and_no_more(data: tuple[Path, Path], tmp_path: Path) -> None:
    whole = 'kind = "toggle"\nmodule = ".*"\nwhere = \'state.*\'\nreason = "no third state"'
    idle = 'kind = "branch"\nmodule = "top"\nwhere = ".*"\nreason = "of another module"'
    rules = read_exclusions(exclusions(tmp_path, whole, idle))
    report = make_report(read_points(*data), rules, functional(problems=("a bin: wrong",)), ["a scenario: wrong"])
    assert (report.points[Kind.TOGGLE], report.reached[Kind.TOGGLE]) == (4, 3)
    assert [count for _, count in report.excluded] == [1, 0]
    assert report.problems[0] == "a scenario: wrong"
    assert "covers nothing that was missed: of another module" in report.problems[1]
    assert report.problems[2:] == ["a bin: wrong"]
    assert report.share(Kind.BRANCH) == 0.5
    assert report.short == [Kind.BRANCH, Kind.TOGGLE]
    said = report.to_dict()
    assert (said["line"], said["branch"], said["toggle"]) == (100.0, 50.0, 75.0)
    assert said["excluded_points"] == {"line": 0, "branch": 0, "toggle": 1}
    assert "branch top.part:8 else: if (state[0]) begin" in said["missed"]


@pytest.mark.parametrize("hole", ["", "bin", "point", "scenario"])
def test_any_hole_fails(data: tuple[Path, Path], hole: str) -> None:
    points = [point for point in read_points(*data) if point.count or hole == "point"]
    report = make_report(points, (), functional(hit=hole != "bin"), ["wrong"] if hole == "scenario" else [])
    assert report.passed == (not hole)
    assert report.to_dict()["functional"]["missed"] == (["group: a x b"] if hole == "bin" else [])


@pytest.mark.parametrize(
    "rule",
    [
        'kind = "toggle"\nmodule = ".*"\nwhere = ".*"',
        'kind = "toggle"\nmodule = ".*"\nwhere = ".*"\nreason = " "',
        'kind = "word"\nmodule = ".*"\nwhere = ".*"\nreason = "a"',
        'kind = "line"\nmodule = "("\nwhere = ".*"\nreason = "a"',
        "kind = ",
    ],
)
def test_bad_rules(rule: str, tmp_path: Path) -> None:
    with pytest.raises(ExclusionError, match=r"exclusions\.toml"):
        read_exclusions(exclusions(tmp_path, rule))


def test_the_projects_rules_have_reasons_and_are_not_everything() -> None:
    rules = read_exclusions()
    assert rules
    plain = Point(kind=Kind.TOGGLE, module="ssvq_core.x", line=1, what="busy:0->1", text="reg busy;", count=0)
    assert rule_of(plain, rules) is None
    assert LIMITS == {Kind.LINE: 1.0, Kind.BRANCH: 1.0, Kind.TOGGLE: 0.95}
