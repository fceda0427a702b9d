"""Counts against the committed table."""

import json
from pathlib import Path

import pytest
from reports import report

from ssvq_gen.config import PRESETS
from ssvq_gen.synthesis.limits import (
    LIMITS,
    LimitsError,
    read_limits,
    regressions,
    renewed,
    write_limits,
)

COUNTS = {"lut": 1000, "lut_ram": 100, "dsp": 72, "block_ram": 0}


def test_growth_is_found() -> None:
    limits = {"tiny": {"xc7": COUNTS}}
    assert regressions("tiny", [report(lut=1050, lut_ram=100, dsp=72)], limits) == []
    assert regressions("tiny", [report(lut=500, dsp=3)], limits) == []
    found = regressions("tiny", [report(lut=1051, dsp=76, block_ram=1)], limits)
    assert [sentence.split(";")[0] for sentence in found] == [
        "xc7: lut grew by 5.1%, from 1000 to 1051",
        "xc7: dsp grew by 5.6%, from 72 to 76",
        "xc7: block_ram grew from none, from 0 to 1",
    ]
    assert "`make synth-limits` renews" in found[0]


def test_other_cores_and_targets_have_no_limits() -> None:
    limits = {"tiny": {"xc7": COUNTS}}
    assert regressions("edge", [report(lut=9999)], limits) == []
    assert regressions("tiny", [report(target="ice40", lut=9999)], limits) == []


def test_renewal(tmp_path: Path) -> None:
    table = renewed("tiny", [report(lut=7, ff=9, dsp=1)], {"tiny": {"ecp5": COUNTS}, "edge": {}})
    assert table == {"tiny": {"ecp5": COUNTS, "xc7": {"lut": 7, "lut_ram": 0, "dsp": 1, "block_ram": 0}}, "edge": {}}
    write_limits(table, tmp_path / "limits.json")
    assert read_limits(tmp_path / "limits.json") == table


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[]", "must be an object of configurations, not list"),
        ("{", "Expecting"),
        ('{"tiny": 3}', "tiny. must count lut, lut_ram, dsp, block_ram"),
        ('{"tiny": {"xc7": {"lut": 3}}}', "tiny.xc7 must count lut, lut_ram, dsp, block_ram"),
        (json.dumps({"tiny": {"xc7": {**COUNTS, "lut": -1}}}), "tiny.xc7.lut must be a count, not -1"),
        (json.dumps({"tiny": {"xc7": {**COUNTS, "dsp": True}}}), "tiny.xc7.dsp must be a count, not True"),
    ],
)
def test_bad_tables(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "limits.json"
    path.write_text(text)
    with pytest.raises(LimitsError, match=f"limits.json: {reason}"):
        read_limits(path)


def test_missing_table(tmp_path: Path) -> None:
    with pytest.raises(LimitsError, match="none.json"):
        read_limits(tmp_path / "none.json")


def test_committed_table_limits_what_ci_builds() -> None:
    limits = read_limits(Path(__file__).parents[3] / LIMITS)
    assert limits.keys() <= PRESETS.keys()
    assert {"xc7", "ecp5"} <= limits["tiny"].keys()
