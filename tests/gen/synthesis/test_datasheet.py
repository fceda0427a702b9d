"""The datasheet: what is in it, and what is not run again."""

import json
from pathlib import Path
from typing import Any

import pytest
from reports import report

from ssvq_gen.config import PRESETS, CoreConfig, WeightFormat
from ssvq_gen.synthesis import datasheet
from ssvq_gen.synthesis.datasheet import main, without_decoder
from ssvq_gen.synthesis.report import Report
from ssvq_gen.synthesis.targets import Target
from ssvq_gen.toolbox import ToolError

KEYS = ["config", "target", "lut", "ff", "dsp", "block_ram", "lut_per_mac", "fmax_mhz", "seeds", "decode_lut_share"]


class FakeRuns:
    """Cores take 640 LUTs, those without decoding 600; all reach 100 MHz."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.dsp = 10
        self.error: ToolError | None = None

    def synthesize(self, config: CoreConfig, target: Target, verilog: Path, *, progress: object) -> Report:
        self.calls.append(f"area {config.name} {target.name}")
        if "stop" in self.calls:
            raise ToolError("Yosys failed:\nstopped")
        return report(target=target.name, lut=640 if WeightFormat.SSVQ in config.formats else 600, ff=7, dsp=self.dsp)

    def place_and_route(self, core: Any, target: Target, **_: object) -> dict[str, Any]:
        self.calls.append(f"pnr {core.config.name} {target.name}")
        if self.error:
            raise self.error
        return {"fmax_mhz": 100.0, "seeds": 5}


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, stub: None) -> FakeRuns:
    fake = FakeRuns()
    monkeypatch.setattr(datasheet, "synthesize", fake.synthesize)
    monkeypatch.setattr(datasheet, "place_and_route", fake.place_and_route)
    return fake


def rows(folder: Path) -> list[dict[str, Any]]:
    data = json.loads((folder / "datasheet" / "datasheet.json").read_text())
    assert list(data) == ["rows"]
    return list(data["rows"])


def test_rows(runs: FakeRuns, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", "tiny", "--target", "xc7", "ecp5", "--output", str(tmp_path)]) == 0
    first, second = rows(tmp_path)
    assert [key for key in first if key != "note"] == KEYS
    counts = {"config": "tiny", "lut": 640, "ff": 7, "dsp": 10, "block_ram": 0, "lut_per_mac": 10.0}
    shared = {**counts, "decode_lut_share": 0.0625, "note": ""}
    assert first == {**shared, "target": "xc7", "fmax_mhz": None, "seeds": 0}
    assert second == {**shared, "target": "ecp5", "fmax_mhz": 100.0, "seeds": 5}
    output = capsys.readouterr().out
    assert "| tiny | Xilinx 7 | 640 | 7 | 10 | 0 | - | 0 | 10.0 | 6.2% |" in output
    assert "| tiny | ECP5 | 640 | 7 | 10 | 0 | 100.0 | 5 | 10.0 | 6.2% |" in output


def test_goes_on_after_a_break(runs: FakeRuns, tmp_path: Path) -> None:
    arguments = ["--config", "tiny", "edge", "--target", "xc7", "--output", str(tmp_path)]
    assert main([*arguments[:2], *arguments[3:]]) == 0
    runs.calls = ["stop"]
    assert main(arguments) == 1, "edge fails"
    assert [row["config"] for row in rows(tmp_path)] == ["tiny"], "what was there before is kept"
    runs.calls = []
    assert main(arguments) == 0
    assert runs.calls == ["area edge xc7", "area edge_int8 xc7"]


def test_what_does_not_fit_is_not_tried(runs: FakeRuns, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs.dsp = 157
    assert main(["--config", "tiny", "--target", "ecp5", "--output", str(tmp_path)]) == 0
    assert rows(tmp_path)[0]["note"] == "does not fit LFE5U-85F, speed grade 6: 157 dsp of 156"
    assert rows(tmp_path)[0]["fmax_mhz"] is None
    assert "* tiny on ECP5: does not fit" in capsys.readouterr().out
    assert not any(call.startswith("pnr") for call in runs.calls)


def test_failed_placement_is_a_note(runs: FakeRuns, tmp_path: Path) -> None:
    runs.error = ToolError("nextpnr-ecp5 failed:\nInfo: x\nERROR: Unable to place cell 'a'\nmore")
    assert main(["--config", "tiny", "--target", "ecp5", "--output", str(tmp_path)]) == 0
    assert rows(tmp_path)[0]["note"] == "ERROR: Unable to place cell 'a'"
    assert rows(tmp_path)[0]["fmax_mhz"] is None


@pytest.mark.usefixtures("runs")
def test_bad_arguments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", "nano", "--output", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: 'nano' is neither")
    assert main(["--seeds", "-1", "--output", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "error: --seeds must be 0 or more, not -1\n"
    assert list(tmp_path.iterdir()) == []


def test_without_decoder() -> None:
    bare = without_decoder(PRESETS["base"])
    assert bare.name == "base_int8"
    assert not bare.has_codebook
    assert bare.rows == PRESETS["base"].rows
