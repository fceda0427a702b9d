"""The command line of `make synth`."""

import json
from pathlib import Path

import pytest
from reports import report

from ssvq_gen.config import PRESETS
from ssvq_gen.synthesis import __main__ as command
from ssvq_gen.synthesis.__main__ import main
from ssvq_gen.synthesis.report import Report
from ssvq_gen.synthesis.target_argument import chosen, chosen_for
from ssvq_gen.synthesis.targets import Target

pytestmark = pytest.mark.usefixtures("stub")


@pytest.fixture
def limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table that allows 1000 LUTs; synthesis finds 1000."""

    def synthesize(config: object, target: Target, verilog: Path, *, progress: object) -> Report:
        assert verilog.is_file()
        return report(target=target.name, lut=1000)

    monkeypatch.setattr(command, "synthesize", synthesize)
    path = tmp_path / "limits.json"
    assert main(["tiny", "--target", "xc7", "--output", str(tmp_path), "--limits", str(path), "--renew-limits"]) == 0
    return path


def run(limits: Path, *arguments: str) -> int:
    return main([*arguments, "--output", str(limits.parent), "--limits", str(limits)])


def test_within_the_limits(limits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(limits, "tiny", "--target", "ecp5", "xc7") == 0
    output = capsys.readouterr().out
    assert "tiny on Xilinx 7 by block" in output
    assert output.index("tiny on Xilinx 7 by block") < output.index("tiny on ECP5 by block")
    data = json.loads((limits.parent / "tiny" / "synth.json").read_text())
    assert [target["target"] for target in data["targets"]] == ["xc7", "ecp5"]


def test_regression_fails(limits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    limits.write_text(limits.read_text().replace("1000", "900"))
    assert run(limits, "tiny", "--target", "xc7") == 1
    assert "FAIL xc7: lut grew by 11.1%, from 900 to 1000" in capsys.readouterr().err
    own = limits.parent / "own.toml"
    own.write_text('preset = "tiny"\nrows = 16\n')
    limits.unlink()
    assert run(limits, str(own), "--target", "xc7") == 0, "a core of one's own has no limits"


def test_bad_arguments(limits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(limits, "nano") == 2
    assert capsys.readouterr().err.startswith("error: 'nano' is neither")
    limits.unlink()
    assert run(limits, "tiny") == 2
    assert f"error: {limits}" in capsys.readouterr().err
    assert run(limits, "tiny", "--jobs", "0") == 2
    assert capsys.readouterr().err == "error: --jobs must be 1 or more, not 0\n"
    with pytest.raises(SystemExit):
        run(limits, "tiny", "--target", "spartan")


def test_faults_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "limits.json"
    path.write_text("{}")
    assert run(path, "tiny", "--target", "xc7") == 1, "the stub has no MAC"
    assert "FAIL Xilinx 7: 0 DSP blocks in the array instead of 64" in capsys.readouterr().err
    assert run(path, "tiny", "--target", "xc7", "--renew-limits") == 1
    assert path.read_text() == "{}", "a core with a fault sets no limits"


def test_targets_in_order() -> None:
    assert [target.name for target in chosen(["ecp5", "xc7", "ecp5"])] == ["xc7", "ecp5"]
    assert [target.name for target in chosen(["all"])] == ["xc7", "xcup", "ecp5", "gowin", "ice40"]


def test_targets_of_a_core_for_one_family(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ecp5 = PRESETS["tiny"].replace(target="ecp5")
    assert [target.name for target in chosen_for(ecp5, ["all"])] == ["ecp5"]
    assert [target.name for target in chosen_for(PRESETS["tiny"], ["xc7", "ice40"])] == ["xc7", "ice40"]
    own = tmp_path / "own.toml"
    own.write_text('preset = "tiny"\ntarget = "ecp5"\n')
    assert run(tmp_path / "limits.json", str(own), "--target", "xc7") == 2
    assert "target must be 'generic' or 'xc7' for Xilinx 7, not 'ecp5'" in capsys.readouterr().err
