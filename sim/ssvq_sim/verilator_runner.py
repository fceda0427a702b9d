"""cocotb's Verilator runner, made fast: only ports public, and Verilator's own library compiled once."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from cocotb_tools.runner import Verilator

from ssvq_gen.toolbox import verilator_environment

from .cache import cache_root, cached_folder, content_key
from .core_verilog import versions

_TOOLS = ("verilator", "cocotb")
_LIBRARY_KIND = "verilator-library"


class CompilerMissing(RuntimeError):
    """The C++ compiler does not run."""


def compiler() -> str:
    """The C++ compiler: CXX, or c++."""
    return os.environ.get("CXX") or "c++"


def toolchain() -> str:
    """Versions of what builds a simulator, for a cache key. Raises CompilerMissing."""
    try:
        result = subprocess.run([compiler(), "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CompilerMissing(f"the C++ compiler {compiler()!r} does not run: {error}") from error
    return f"{versions(_TOOLS)},{result.stdout.splitlines()[0]}"


class PortsOnlyVerilator(Verilator):
    """The runner without `--public-flat-rw`, which makes every signal of the core a fence for the optimizer.

    make_variables : settings of the C++ build
    coverage : the simulator counts what is covered
    """

    make_variables: tuple[str, ...] = ()
    coverage: bool = False

    @property
    def _library_key(self) -> str:
        variables = " ".join(v for v in self.make_variables if v.startswith(("OPT_GLOBAL", "CXX")))
        return content_key({"variables": variables, "with": f"{self.waves} {self.coverage}", "tools": toolchain()})

    def _simulator_in_path_build_only(self) -> None:
        self.executable = shutil.which("verilator", path=verilator_environment()["PATH"]) or "verilator"

    def _set_env_common(self) -> None:
        super()._set_env_common()
        ours = verilator_environment()
        self.env.update({name: ours[name] for name in ("VERILATOR_ROOT", "MAKEFLAGS")})
        for name in ("MAKELEVEL", "MFLAGS"):
            self.env.pop(name, None)

    def _build_command(self) -> list[list[str]]:
        verilate, make = (list(command) for command in super()._build_command())
        verilate.remove("--public-flat-rw")
        library = cache_root() / _LIBRARY_KIND / self._library_key
        objects = sorted(str(path) for path in library.glob("*.o"))
        copies = [["cp", *objects, str(self.build_dir)]] if objects else []
        return [verilate, *copies, [*make, *self.make_variables]]

    def keep_library(self) -> None:
        """Keep the objects of Verilator's library of a finished build for the next one."""

        def make(folder: Path) -> None:
            for path in Path(self.build_dir).glob("verilated*.o"):
                shutil.copy(path, folder)

        cached_folder(_LIBRARY_KIND, self._library_key, make)

    def test_environment(self, toplevel: str, module: str) -> dict[str, str]:
        """Environment of the simulator's process, which runs the cocotb tests of a module."""
        self.sim_hdl_toplevel = toplevel
        self.test_module = module
        self.hdl_toplevel_lang = "verilog"
        self._set_env_test()
        return dict(self.env)
