"""`make networks` as a command: what is run, what is left out, and errors of the command line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from small_subject import small_subject
from typer.testing import CliRunner, Result

from ssvq.models.packages import MissingPackageError
from ssvq_gen.config import PRESETS, ConfigError
from ssvq_sim.networks.command import chosen, main
from ssvq_sim.networks.subject import Subject
from ssvq_sim.networks.subjects import LOADERS

KEYS = {
    *("network", "config", "format", "codebook_size", "vector_dim", "bytes_per_cycle", "backend", "cycles"),
    *("roofline_cycles", "host_operators", "bit_exact", "metric", "value", "float_value"),
}


class Fake:
    """In place of a loader."""

    def __init__(self, found: list[Subject] | Exception) -> None:
        self.found, self.summary = found, ""

    def load(self, *, quick: bool) -> list[Subject]:
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


def use(monkeypatch: pytest.MonkeyPatch, loaders: Mapping[str, Fake]) -> None:
    monkeypatch.setattr("ssvq_sim.networks.command.LOADERS", loaders)


def run(folder: Path, *arguments: str) -> Result:
    command = typer.Typer()
    command.command()(main)
    return CliRunner().invoke(command, [*arguments, "--output", str(folder / "networks")])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "nano"], "'nano' is neither a preset"),
        (["--config", "tiny", "--bytes-per-cycle", "8"], "bytes_per_cycle must be a power of two from 1 to 4, not 8"),
        (["--bytes-per-cycle", "3"], "bytes_per_cycle must be a power of two from 1 to 64, not 3"),
        (["--format", "vq"], "format must be one of int8, ssvq, not 'vq'"),
        (["--network", "alexnet"], "network must be one of deit_tiny, minilm, "),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(tmp_path: Path, arguments: list[str], message: str) -> None:
    result = run(tmp_path, *arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "networks").exists()


def test_help_names_all_networks(tmp_path: Path) -> None:
    text = "".join(run(tmp_path, "--help").output.split())
    assert all(name in text for name in LOADERS)


def test_results_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, {"small": Fake([small_subject()])})
    result = run(tmp_path)
    assert result.exit_code == 0
    assert "PASS" in result.output
    written = json.loads((tmp_path / "networks" / "networks.json").read_text())["runs"]
    assert [(row["format"], row["metric"]) for row in written] == [
        *(("int8", "cosine to float"), ("int8", "top-1")),
        *(("ssvq", "cosine to float"), ("ssvq", "top-1")),
    ]
    assert all(set(row) > KEYS for row in written)


def test_options_choose_cases() -> None:
    subject = small_subject()
    (case,) = chosen(subject, PRESETS["edge"], ["ssvq"], [8, 1])
    assert (case.config.name, case.format, case.rates) == ("edge", "ssvq", (8, 1))
    assert len(chosen(subject, None, None, None)) == 2
    with pytest.raises(ConfigError, match="tiny: a bus has at most 4 bytes per cycle, not 8"):
        chosen(subject, None, None, [8])


def test_a_network_that_is_named_has_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = small_subject()
    other = replace(subject, cases=tuple(case for case in subject.cases if case.format == "int8"))
    use(monkeypatch, {"small": Fake([subject]), "other": Fake([other])})
    result = run(tmp_path, "--network", "small", "--network", "other", "--format", "ssvq")
    assert result.exit_code == 2
    assert "other has no run of format ssvq with these options" in result.output
    assert not (tmp_path / "networks").exists()


def test_a_network_without_its_packages_is_left_out_unless_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, {"small": Fake([small_subject()]), "other": Fake(MissingPackageError("run: pip install things"))})
    result = run(tmp_path, "--format", "int8")
    assert result.exit_code == 0
    assert "left out: other: run: pip install things" in result.output
    result = run(tmp_path, "--network", "other")
    assert result.exit_code == 2
    assert "error: run: pip install things" in result.output


def test_a_missed_target_is_an_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, {"small": Fake([small_subject()])})
    monkeypatch.setattr("ssvq_sim.networks.command.missed", lambda runs: ["too slow"])
    result = run(tmp_path)
    assert result.exit_code == 1
    assert "too slow" in result.output
    assert "FAIL" in result.output


@pytest.mark.parametrize("name", ["deit_tiny", "tiled"])
def test_networks_without_packages_load(name: str) -> None:
    (subject,) = LOADERS[name].load(quick=True)
    assert subject.name == name
    assert {case.format for case in subject.cases} == {"int8", "ssvq"}
