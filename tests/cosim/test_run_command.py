"""`ssvq run --backend sim` runs a compiled network in generated Verilog, and finds what the golden model says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_models import model, run


@pytest.mark.slow
@pytest.mark.cosim
def test_a_network_in_two_parts(tmp_path: Path) -> None:
    file = tmp_path / "net.ssvqnet"
    given = model(tmp_path, "split")
    result = run("compile", *given, "-o", file, "--config", "tiny", "--codebook-size", 4)
    assert result.exit_code == 0, result.output
    common = ["run", file, "--json", "--output"]
    reference = run(*common, tmp_path / "reference.npy")
    simulated = run(*common, tmp_path / "sim.npy", "--backend", "sim", "--profile", tmp_path / "trace.json")
    assert reference.exit_code == simulated.exit_code == 0, simulated.output
    assert (np.load(tmp_path / "sim.npy") == np.load(tmp_path / "reference.npy")).all()
    about = json.loads(simulated.output)
    assert about["bit_exact"] is True
    assert [part["name"] for part in about["parts"]] == ["core 0", "core 1"]
    cycles = [part["counters"]["TOTAL_CYCLES"] for part in about["parts"]]
    assert about["cycles"] == sum(cycles) > 0
    for number, total in enumerate(cycles):
        trace = json.loads((tmp_path / f"trace-{number}.json").read_text())
        assert trace["otherData"]["total_cycles"] == total
