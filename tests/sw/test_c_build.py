"""What the C driver is built from and with, and how its command is called."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from c_driver import SOURCES, Command, build, checked_command
from driver_programs import CONFIG


@pytest.mark.parametrize("changes", [{}, {"profile_depth": 0, "axi_addr_width": 64, "attention": False}])
def test_core_part_needs_nothing(changes: dict[str, Any]) -> None:
    """No data that is not constant, and of libraries only <string.h>."""
    library = build(CONFIG.replace(**changes), target="core", flags="-O2") / "libssvq.a"
    listed = subprocess.run(["nm", str(library)], capture_output=True, text=True, check=True).stdout
    symbols = re.findall(r"^[0-9a-f ]{17}([A-Za-z]) (\w+)$", listed, re.MULTILINE)
    assert {kind for kind, _ in symbols} <= set("TtRrU"), "there is data that can be written"
    own = {name for kind, name in symbols if kind == "T"}
    outside = {name for kind, name in symbols if kind == "U"} - own
    assert outside - {"_GLOBAL_OFFSET_TABLE_"} <= {"memcpy", "memcmp", "memset", "memmove", "strlen", "strchr"}
    assert own
    assert all(name.startswith("ssvq_") for name in own)


@pytest.mark.skipif(shutil.which("dtc") is None, reason="dtc is not installed")
def test_device_tree(tmp_path: Path) -> None:
    source, flags = SOURCES / "examples" / "ssvq.dts", ("-@", "-W", "no-avoid_unnecessary_addr_size")
    command = ["dtc", *flags, "-I", "dts", "-O", "dtb", "-o", str(tmp_path / "ssvq.dtbo"), str(source)]
    made = subprocess.run(command, capture_output=True, text=True)
    assert (made.returncode, made.stderr) == (0, "")


def test_usage(tmp_path: Path) -> None:
    command = Command(checked_command(CONFIG), tmp_path)
    assert command.plain("--help").code == 0
    for arguments in (
        [],
        ["--uio", "a", "--socket", "b", "--memory", "c", "d"],
        ["--socket", "a", "d"],
        ["--socket", "a", "--memory", "c"],
        ["--check"],
        ["--timeout-us", "-1", "--socket", "a", "--memory", "c", "d"],
        ["--watchdog-cycles", "4294967296", "--socket", "a", "--memory", "c", "d"],
        ["--input", "nothing", "--socket", "a", "--memory", "c", "d"],
        ["--nonsense"],
    ):
        ran = command.plain(*arguments)
        assert ran.code == 2, arguments
        assert ran.error
