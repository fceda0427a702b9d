"""What docs/drivers.md names is there: results, errors, files and options."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import ssvq.driver
from ssvq import program, program_file
from ssvq.cli import run as cli_run

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "drivers.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (`[A-Z_]+`.*?) \| (.+?) \|", PAGE, re.MULTILINE)
PYTHON = {**vars(ssvq.driver), **vars(program), **vars(program_file)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_results(row: tuple[str, str]) -> None:
    header = (ROOT / "sw/c/include/ssvq_failure.h").read_text(encoding="utf-8")
    results = re.findall(r"`([A-Z_]+)`", row[0])
    for name in results:
        assert f"X({name}, " in header
    errors = re.findall(r"`(\w+)`", row[1]) or ["".join(w.title() for w in name.split("_")) for name in results]
    for name in errors:
        assert issubclass(PYTHON[name], Exception)


def test_there_are_results() -> None:
    assert len(ROWS) > 8


def test_links_and_files() -> None:
    for link in re.findall(r"\]\(((?!http)[^)#]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link
    for name in re.findall(r"`((?:platform|examples)/\w+\.\w+)`", PAGE):
        assert (ROOT / "sw" / "c" / name).exists(), name


def test_options() -> None:
    options = (ROOT / "sw/c/run/options.c").read_text(encoding="utf-8")
    bridge = (ROOT / "sim/ssvq_sim/bridge.py").read_text(encoding="utf-8")
    networks = inspect.signature(cli_run.run).parameters
    for name in re.findall(r"(?<!-)--([a-z][a-z-]+)", PAGE):
        assert f'{{"{name}", ' in options or f'"--{name}"' in bridge or name.replace("-", "_") in networks, name
