"""The command behind `make bench`, on a miniature network and the functional model in place of the simulator."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from bench_model import MINI, SMALL, ModelSession, stand_in_simulator

from ssvq_gen.config import CoreConfig
from ssvq_sim.behaviour import JobError, JobResult, SimulationJob
from ssvq_sim.bench import command, run
from ssvq_sim.bench.shapes import Transformer
from ssvq_sim.bench.sweep import Networks

ARGUMENTS = ("--only", "layer", "deit-tiny", "--bytes-per-cycle", "1", "8")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The TOML file of a small core."""
    monkeypatch.setattr(run, "Session", ModelSession)
    monkeypatch.setattr(command, "build_simulator", stand_in_simulator)
    monkeypatch.setattr(command, "Networks", functools.partial(Networks, MINI))
    path = tmp_path / "small.toml"
    lines = ['preset = "edge"', f"activation_bytes = {SMALL.activation_bytes}", "accumulator_depth = 16"]
    path.write_text("\n".join(lines))
    return path


def test_sweep(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = command.main(["--config", str(small), *ARGUMENTS, "--out", str(tmp_path), "--latency", "7"])
    text = capsys.readouterr().out
    assert code == 1  # the stand-in's overhead is too much for networks of this size
    assert "every output is bit-exact" in text
    data = json.loads((tmp_path / "bench" / "bench.json").read_text())
    assert len(data["points"]) == 2 * 2 * (6 + 8) + 2 * 2 * 2
    assert all(point["bit_exact"] for point in data["points"])
    assert {(point["job"], point["latency"]) for point in data["points"]} == {
        ("layer", 0),
        ("layer", 7),
        ("deit-tiny", 7),
    }
    assert len(data["speed_ups"]) == 2 * 2 * 6 + 2 * 2
    assert {curve["kind"] for curve in data["curves"]} == {"sum of rooflines", "bound with prefetch"}
    for name in ("roofline.svg", "roofline.png", "speed-up.svg", "speed-up.png"):
        assert (tmp_path / "bench" / name).exists()


def test_targets_reached(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench_model.OVERHEAD_CYCLES", 0)
    arguments = ["--only", "deit-tiny", "--bytes-per-cycle", "2", "--out", str(tmp_path)]
    assert command.main(["--config", str(small), *arguments]) == 0


def test_trace(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--only", "layer", "deit-tiny", "--bytes-per-cycle", "8", "--trace", "--out", str(tmp_path)]
    command.main(["--config", str(small), *arguments])
    text = capsys.readouterr().out
    for variant in ("latency", "steady"):
        for name in ("int8", "ssvq-k16"):
            trace = json.loads((tmp_path / "bench" / f"trace-small-{variant}-{name}-8B.json").read_text())
            names = {event["name"] for event in trace["traceEvents"]}
            assert {"MATMUL patch", "PRODUCT block1.values 1", "LOAD image", "STORE logits"} <= names
    assert text.count("Where the cycles go: deit-tiny") == 4
    assert re.search(r"scores +│ +40 +│ +90.0% +│ +4 ", text)  # two blocks of two heads
    assert re.search(r"total +│ +185 +│ +87.6% +│ +18 +│ +5 ", text)


def test_both_cores() -> None:
    options = command._options(["--only", "deit-tiny"])
    networks = Networks(Transformer(patches=9, patch_channels=64, width=64, heads=1, mlp=64, blocks=1, classes=9))
    places = {(m.config.name, m.bytes_per_cycle) for m in command._plan(options, networks)}
    assert places == {*(("base", rate) for rate in (1, 2, 4, 8)), *(("large", rate) for rate in (4, 8))}
    quick = command._options(["--only", "deit-tiny", "--quick"])
    assert {(m.config.name, m.bytes_per_cycle) for m in command._plan(quick, networks)} == {("base", 8)}


def test_network_that_does_not_fit(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small.write_text('preset = "edge"\naccumulator_depth = 8\n')
    assert command.main(["--config", str(small), *ARGUMENTS]) == 2
    assert "there are 10 tokens; the accumulators hold 8" in capsys.readouterr().err


def test_bandwidth_that_the_bus_has_not(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--config", str(small), "--only", "layer", "--bytes-per-cycle", "16"]) == 2
    assert "moves at most 8 bytes per cycle" in capsys.readouterr().err


def test_unknown_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--config", "huge"]) == 2
    assert "neither a preset" in capsys.readouterr().err


def test_job_that_fails(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken(ModelSession):
        def run(self, job: SimulationJob) -> JobResult:
            error = JobError(type="JobStalled", message="nothing moved")
            return replace(super().run(job), outputs={}, counters={}, error=error)

    monkeypatch.setattr(run, "Session", Broken)
    assert command.main(["--config", str(small), *ARGUMENTS, "--out", str(tmp_path)]) == 1
    assert re.search(r"FAIL deit-tiny .*: set up: JobStalled: nothing moved", capsys.readouterr().out)


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--help"])
    text = capsys.readouterr().out
    for word in ("gemv", "layer", "deit-tiny", "examples:", "exit code"):
        assert word in text


def test_presets_are_those_of_the_sweep() -> None:
    assert [CoreConfig.load(name).name for name in (command.MAIN_CONFIG, command.WIDE_CONFIG)] == ["base", "large"]
