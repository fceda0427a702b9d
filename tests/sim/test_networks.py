"""`make networks`: what counts as a failure, the table, and errors of the command line."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from ssvq_sim.networks import TARGET_SPEED_UP, NetworkRun, main, missed, speed_up, table

INT8 = NetworkRun(
    network="deit_tiny",
    config="base",
    format="int8",
    codebook_size=None,
    vector_dim=None,
    bytes_per_cycle=1,
    backend="sim",
    cycles=7000,
    roofline_cycles=6000.0,
    array_cycles=1400,
    vector_cycles=350,
    load_cycles=300,
    host_operators=(),
    bit_exact=True,
    value=0.9,
)
SSVQ = replace(INT8, format="ssvq", codebook_size=16, vector_dim=8, cycles=2000)


def test_speed_up_is_over_int8_at_the_same_rate() -> None:
    assert speed_up([INT8, SSVQ], SSVQ) == 3.5
    assert speed_up([INT8, SSVQ], replace(SSVQ, bytes_per_cycle=2)) is None
    assert speed_up([INT8, SSVQ], replace(SSVQ, config="edge")) is None


def test_what_is_missed() -> None:
    assert TARGET_SPEED_UP == 3.5
    assert missed([INT8, SSVQ]) == []
    assert missed([INT8, replace(SSVQ, cycles=2001)]) == ["deit_tiny is 3.498 times faster than with int8, below 3.5"]
    assert missed([replace(INT8, bit_exact=False), SSVQ]) == ["deit_tiny in int8 is not bit-exact"]
    elsewhere = [replace(run, bytes_per_cycle=8) for run in (INT8, replace(SSVQ, cycles=6000))]
    assert missed(elsewhere) == []
    assert missed([SSVQ]) == []


def test_the_table_says_what_is_wrong() -> None:
    text = io.StringIO()
    Console(file=text, width=120).print(table([INT8, replace(SSVQ, bit_exact=False)]))
    rows = text.getvalue().splitlines()
    assert any("int8" in row and "7,000" in row and "20.0%" in row and "yes" in row for row in rows)
    assert any("ssvq" in row and "3.50x" in row and "NO" in row for row in rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "nano"], "'nano' is neither a preset"),
        (["--config", "tiny", "--bytes-per-cycle", "8"], "'int8' at 8 bytes per cycle is not possible"),
        (["--format", "vq"], "'vq' at 1 bytes per cycle is not possible: formats are int8, ssvq"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(tmp_path: Path, arguments: list[str], message: str) -> None:
    command = typer.Typer()
    command.command()(main)
    result = CliRunner().invoke(command, [*arguments, "--output", str(tmp_path / "networks")])
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "networks").exists()
