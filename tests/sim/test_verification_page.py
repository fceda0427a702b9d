"""docs/verification.md is what the plan and the figures beside it give, and the plan names what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ssvq_sim.formal.proofs import all_proofs
from ssvq_sim.verify.page import FIGURES, NOT_RUN, PAGE, page, write_page
from ssvq_sim.verify.parts import PARTS
from ssvq_sim.verify.plan import PLAN

ROOT = Path(__file__).parents[2]


def test_the_page_is_made_from_its_figures() -> None:
    figures = json.loads((ROOT / FIGURES).read_text(encoding="utf-8"))
    assert (ROOT / PAGE).read_text(encoding="utf-8") == page(figures), "run `make verify VERIFY_ARGS=--write`"


def test_commands_and_tests_of_the_plan_exist() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for promise in PLAN:
        names = re.findall(r"`([^`]+)`", promise.where)
        assert names, promise.promise
        for name in names:
            found = name.removeprefix("make ") in targets if name.startswith("make ") else (ROOT / name).exists()
            assert found, f"{name}, of: {promise.promise}"


@pytest.mark.parametrize("name", [proof.name for proof in all_proofs()])
def test_every_proof_stands_for_one_promise(name: str) -> None:
    found = {"formal": [{"name": name, "status": "proved"}]}
    said = [promise.result(found) for promise in PLAN if promise.part == "formal" and promise.result is not None]
    assert sorted(said)[-2:] == ["0 of 0 proved", "1 of 1 proved"]


@pytest.mark.parametrize("passed", [True, False])
def test_a_part_that_failed_is_said_to_have(passed: bool) -> None:
    found = {
        "parts": {"systems": {"passed": passed, "seconds": 1}},
        "random": {"systems": 600, "cores": 40, "failures": 0},
    }
    text = page(found)
    assert ("600 systems on 40 cores, 0 wrong" in text) == passed
    assert ("| FAILED |" in text) == (not passed)


@pytest.mark.parametrize(
    ("four_state", "said"),
    [
        (None, "3 seeds of 7 registers and all memories, 0 wrong; not tried with unknown values"),
        (
            {"jobs": 9, "failures": 1},
            "3 seeds of 7 registers and all memories, 0 wrong; 9 jobs with unknown values, 1 wrong",
        ),
    ],
)
def test_a_half_that_was_left_out_is_said_to_be(four_state: dict[str, int] | None, said: str) -> None:
    found = {
        "parts": {"unknowns": {"passed": True, "seconds": 1}},
        "unknowns": {"seeds": 3, "registers": 7, "failures": 0, "four_state": four_state},
    }
    assert f"| {said} |" in page(found)


def test_coverage_is_said_in_full() -> None:
    """From what the command leaves, through the part's summary, to the page."""
    kinds = ("line", "branch", "toggle")
    data: dict[str, Any] = dict.fromkeys(kinds, 99.5)
    data |= {name: dict.fromkeys(kinds, 7) for name in ("points", "excluded_points")}
    data["functional"] = {"bins": 1578, "hit": 1577, "excluded_bins": 60, "missed": ["one"]}
    summary = next(part for part in PARTS if part.name == "coverage").summarize(data)
    text = page({"parts": {"coverage": {"passed": True, "seconds": 1}}, "coverage": summary})
    assert "99.5 % of 7 toggles (7 more are excluded), and 1577 of 1578 functional bins (60 more cannot be)" in text


def test_parts_of_the_plan_exist() -> None:
    assert {promise.part for promise in PLAN} == {"", *(part.name for part in PARTS)}
    assert all(bool(promise.part) == (promise.result is not None) for promise in PLAN)


def test_what_did_not_run_is_said_to_be(tmp_path: Path) -> None:
    text = page({"parts": {}})
    assert text.count(f"| {NOT_RUN} |") == sum(promise.result is not None for promise in PLAN)
    (tmp_path / "docs").mkdir()
    write_page({"parts": {}}, tmp_path)
    assert (tmp_path / PAGE).read_text(encoding="utf-8") == text


@pytest.mark.parametrize("module", [part.module for part in PARTS])
def test_every_part_is_a_target(module: str) -> None:
    assert f"-m {module}" in (ROOT / "Makefile").read_text(encoding="utf-8")
