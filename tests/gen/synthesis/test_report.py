"""Faults, tables and JSON of reports."""

import io
import json
from dataclasses import replace
from pathlib import Path

from reports import report
from rich.console import Console

from ssvq_gen.config import PRESETS
from ssvq_gen.synthesis.blocks import Block
from ssvq_gen.synthesis.memories import Memory
from ssvq_gen.synthesis.report import blocks_table, report_table, write_reports

TINY = PRESETS["tiny"]
WHOLE = report(lut=1000, ff=5, dsp=73, latch=1)
REPORT = replace(
    WHOLE,
    blocks=(
        *WHOLE.blocks,
        *(
            Block(path=path, resources={**WHOLE.resources, "lut": n, "dsp": 0})
            for path, n in (("load", 9), ("load.x", 10))
        ),
    ),
    dsps={"array": 64, "requantizer": 7, "vector": 3, "rest of the core": 1},
    dsps_expected={"array": 64, "requantizer": 8},
    flipflop_memories=(Memory(name="small", words=31, width=33), Memory(name="large", words=32, width=32)),
    latches=("ssvq_core/a",),
)


def text(table: object) -> str:
    console = Console(width=200, file=io.StringIO())
    console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_faults() -> None:
    assert REPORT.faults == [
        "latch: ssvq_core/a",
        "1 latch cells after mapping",
        "memory large of 32 x 32 bits ended in flip-flops",
        "7 DSP blocks in the requantizer instead of 8",
        "1 DSP blocks in the rest of the core instead of 0",
    ]
    assert replace(REPORT, dsps_expected={}).faults == REPORT.faults[:3]
    assert report(lut=1).faults == []


def test_report_file(tmp_path: Path) -> None:
    write_reports(TINY, [REPORT], tmp_path / "synth.json")
    data = json.loads((tmp_path / "synth.json").read_text())
    assert data["config"] == "tiny"
    assert data["macs"] == 64
    assert data["targets"][0]["resources"]["dsp"] == 73
    assert data["targets"][0]["blocks"][1] == {"path": "load", "resources": dict(REPORT.blocks[1].resources)}
    assert data["targets"][0]["faults"] == REPORT.faults


def test_tables() -> None:
    assert "15.6" in text(report_table(TINY, [REPORT])), "LUTs per MAC"
    assert "array 64/64, requantizer 7/8, vector 3/0" in text(report_table(TINY, [REPORT]))
    short, whole = text(blocks_table(TINY, REPORT)), text(blocks_table(TINY, REPORT, every=True))
    assert "    x " in short
    assert "  load " not in short
    assert "  load " in whole
