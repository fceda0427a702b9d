"""From `ssvq compile --explain` and `ssvq run --record` to `ssvq report`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
from fake_profiles import counters_of, fake_profile
from typer.testing import CliRunner, Result

from ssvq.cli import app
from ssvq.network.hosting import backend
from ssvq.network.hosting.backend import ProgramRun
from ssvq.network.program.emission import INPUT, OUTPUT
from ssvq.network.report.run_record import RunRecord
from ssvq.program import Program, place_input, read_output
from ssvq.reference import Int8Array
from ssvq_gen.config import CoreConfig

MODELS = """
import torch
from torch import nn

class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(16, 24), nn.LayerNorm(24), nn.Linear(24, 8)

    def forward(self, x):
        return self.last(torch.sigmoid(self.norm(self.first(x))))

def gated():
    return Gated()

class Sorted(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(16, 16), nn.Linear(16, 8)

    def forward(self, x):
        return self.last(self.first(x).sort(1).values)

def ordered():
    return Sorted()
"""


def command(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def done(*arguments: object) -> str:
    result = command(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: object) -> str:
    result = command(*arguments)
    assert result.exit_code == 2
    return result.output


def fake_run(config: CoreConfig, program: Program, inputs: Mapping[str, Int8Array], *, profile: bool) -> ProgramRun:
    """A backend: the functional model of the core, with cycles that no core took."""
    from ssvq_sim.systems.core_model import CoreModel

    window = program.new_memory()
    for job, values in inputs.items():
        assert job.startswith(INPUT)
        place_input(window, program, values, job=job)
    CoreModel(config).run(window, program.descriptor_offset, program.descriptor_count)
    outputs = {job.name: read_output(window, program, job=job.name) for job in program.jobs if job.output}
    assert all(name.startswith(OUTPUT) for name in outputs)
    found = fake_profile(program, config.profile_depth)
    return ProgramRun(outputs=outputs, counters=counters_of(found), profile=found if profile else None)


@pytest.fixture(autouse=True)
def fake_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "simulation", lambda bus: fake_run)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks of one model with two kinds of weights, and of one with a host in the middle."""
    folder = tmp_path_factory.mktemp("networks")
    (folder / "models.py").write_text(MODELS)
    (folder / "small.toml").write_text(
        'name = "small"\nrows = 8\ncols = 8\naxi_data_width = 32\nactivation_bytes = 8192\nprofile_depth = 4\n'
    )
    for name, model, format in (("vq", "gated", "ssvq"), ("int8", "gated", "int8"), ("host", "ordered", "ssvq")):
        source = f"file:{folder / 'models.py'}:{model}"
        weights = ("--format", format, "--input-shape", "1,5,16", "--config", folder / "small.toml")
        done("compile", source, *weights, "-o", folder / f"{name}.ssvqnet")
    return folder


def test_from_runs_to_a_page(folder: Path, tmp_path: Path) -> None:
    for name in ("vq", "int8"):
        done("run", folder / f"{name}.ssvqnet", "--backend", "sim", "--record-all", "--record", tmp_path / name)
    files = ("--run", tmp_path / "vq", "--baseline", tmp_path / "int8", "-o", tmp_path / "page.html")
    assert f"{tmp_path / 'page.html'}: " in done("report", folder / "vq.ssvqnet", *files)
    text = (tmp_path / "page.html").read_text()
    for name in ("first", "norm", "last", "cosine to float", "ssvq k=16 d=8"):
        assert name in text
    assert re.search(r"profile_depth (8|16) in place of 4", text)
    found: dict[str, Any] = json.loads(done("report", folder / "vq.ssvqnet", *files, "--json"))
    assert found["over_int8"] == found["runs"][0]["over_int8"] == 1
    assert found["bit_exact"] is True
    assert found["descriptors_beyond_profile"] == 0
    layers = sum(layer["cycles"] for layer in found["layers"])
    assert layers + found["cycles_of_no_layer"] == found["cycles"] == sum(found["classes"].values())
    assert found["metrics"]["cosine to float"] > 0.9


def test_a_record_says_what_ran(folder: Path, tmp_path: Path) -> None:
    done("run", folder / "vq.ssvqnet", "--backend", "sim", "--bytes-per-cycle", 2, "--record", tmp_path / "a")
    run = RunRecord.load(tmp_path / "a")
    assert (run.backend, run.bytes_per_cycle, run.latency, run.bit_exact) == ("sim", 2, 100, True)
    assert run.weight_formats == ("ssvq",)
    assert run.config.profile_depth == 4
    assert run.parts[0].profile is not None
    assert len(run.parts[0].profile.rows) == 4
    done("run", folder / "vq.ssvqnet", "--record", tmp_path / "b")
    run = RunRecord.load(tmp_path / "b")
    assert (run.backend, run.cycles, run.bit_exact) == ("reference", None, None)
    assert 0.9 < run.metrics["cosine to float"] <= 1.0001


def test_a_network_with_a_host(folder: Path, tmp_path: Path) -> None:
    done("report", folder / "host.ssvqnet", "-o", tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "aten.sort" in text
    assert "core 0" in text
    assert "core 1" in text


def test_explain_shows_steps_and_draws_the_memory(folder: Path, tmp_path: Path) -> None:
    source = f"file:{folder / 'models.py'}:gated"
    weights = ("--input-shape", "1,5,16", "--config", folder / "small.toml", "-o", tmp_path / "net.ssvqnet")
    text = done("compile", source, *weights, "--explain")
    for part in ("steps of core 0, and the activation memory", "most in use", "net.memory.svg"):
        assert part in text
    picture = (tmp_path / "net.memory.svg").read_text()
    assert fromstring(picture).tag.endswith("svg")
    found: dict[str, Any] = json.loads(done("compile", source, *weights, "--explain", "--json"))
    assert [row["name"] for row in found["steps"]["core 0"]][1:3] == ["first", "norm"]
    assert found["pictures"] == [str(tmp_path / "net.memory.svg")]
    assert (tmp_path / "net.memory.svg").read_text() == picture


def test_two_parts_have_two_pictures(folder: Path, tmp_path: Path) -> None:
    source = f"file:{folder / 'models.py'}:ordered"
    weights = ("--input-shape", "1,5,16", "--config", folder / "small.toml", "-o", tmp_path / "net.ssvqnet")
    done("compile", source, *weights, "--explain")
    assert sorted(path.name for path in tmp_path.glob("*.svg")) == ["net.memory-0.svg", "net.memory-1.svg"]


def test_what_is_refused(folder: Path, tmp_path: Path) -> None:
    done("run", folder / "vq.ssvqnet", "--backend", "sim", "--record", tmp_path / "vq")
    done("run", folder / "int8.ssvqnet", "--backend", "sim", "--bytes-per-cycle", 1, "--record", tmp_path / "slow")
    page = ("-o", tmp_path / "page.html")
    for arguments, rule in (
        ((folder / "int8.ssvqnet", "--run", tmp_path / "vq"), "it ran other programs than this file has"),
        ((folder / "vq.ssvqnet", "--run", folder / "models.py"), "it is not JSON"),
        ((folder / "vq.ssvqnet", "--run", tmp_path / "none"), "must exist"),
        ((folder / "models.py",), "models.py"),
        ((folder / "vq.ssvqnet", "--baseline", tmp_path / "vq"), "its weights must all be int8, not ssvq"),
        ((folder / "vq.ssvqnet", "--run", tmp_path / "vq", "--baseline", tmp_path / "slow"), "no run is like it"),
    ):
        assert rule in refused("report", *arguments, *page)
        assert not (tmp_path / "page.html").exists()
    rule = "--record-all needs --backend sim and --record"
    assert rule in refused("run", folder / "vq.ssvqnet", "--record-all", "--record", tmp_path / "x")
    assert rule in refused("run", folder / "vq.ssvqnet", "--record-all", "--backend", "sim")


def test_help_teaches() -> None:
    for name, parts in (
        ("report", ("--baseline", "int8.json", "--record-all")),
        ("run", ("--record", "ssvq report")),
        ("compile", ("--explain", "net.memory.svg")),
    ):
        text = done(name, "--help")
        assert all(part in text for part in parts)
