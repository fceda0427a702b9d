"""`python -m ssvq_sim.smoke CONFIG --output build`: write the small simulation of a core beside its Verilog."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ssvq.compile import CompileError
from ssvq_gen.command import config_argument, output_argument, reports_errors
from ssvq_gen.config import CoreConfig
from ssvq_gen.generate import write_files

from .files import smoke_files


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog="ssvq_sim.smoke",
        description="Write a self-checking test bench, its memory image and the bytes that the core has to write: "
        "what `fusesoc run --target=sim` simulates.",
    )
    config_argument(result)
    output_argument(result)
    return result


@reports_errors(CompileError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 when the files are written, 2 with one line when the configuration or the folder is bad."""
    options = parser().parse_args(arguments)
    config = CoreConfig.load(options.config)
    write_files(smoke_files(config), options.output / config.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
