"""`python -m ssvq_sim.smoke CONFIG --output build`: write the small simulation of a core beside its Verilog."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ssvq.compile import CompileError
from ssvq_gen.config import PRESETS, ConfigError, CoreConfig
from ssvq_gen.generate import write_files

from .files import smoke_files


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog="ssvq_sim.smoke",
        description="Write a self-checking test bench, its memory image and the bytes that the core has to write: "
        "what `fusesoc run --target=sim` simulates.",
    )
    result.add_argument("config", help=f"a preset ({', '.join(PRESETS)}) or a TOML file")
    result.add_argument("--output", type=Path, default=Path("build"), help="folder of the cores (default: build)")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 when the files are written, 2 with one line when the configuration or the folder is bad."""
    options = parser().parse_args(arguments)
    try:
        config = CoreConfig.load(options.config)
        write_files(smoke_files(config), options.output / config.name)
    except (CompileError, ConfigError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
