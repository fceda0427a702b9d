"""`python -m ssvq_gen CONFIG --output build`: write the files of a core."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from .command import config_argument, output_argument, reports_errors, table_console
from .config import CoreConfig
from .generate import Generated, generate
from .manifest import digest_text


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(prog="ssvq_gen", description="Generate the Verilog of an SSVQ core.")
    config_argument(result)
    output_argument(result)
    return result


def _summary(core: Generated, seconds: float) -> Table:
    config = core.config
    table = Table(
        title=f"{config.name}: {digest_text(config)}, {seconds:.1f} s", title_justify="left", show_header=False
    )
    table.add_row("array", f"{config.rows} x {config.cols} MAC, {config.decode_lanes} decode lanes")
    table.add_row("bus", f"AXI4 {config.axi_data_width} bits, {config.axi_addr_width} address bits")
    table.add_row("activation memory", f"{config.activation_bytes:,} bytes")
    table.add_row("formats", ", ".join(f.name.lower() for f in config.formats))
    for name, text in core.files.items():
        table.add_row(str(core.folder / name), f"{len(text.encode()):,} bytes")
    return table


@reports_errors()
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 when the files are written, 2 with one line when the configuration or the folder is bad."""
    options = parser().parse_args(arguments)
    begin = time.monotonic()
    config = CoreConfig.load(options.config)
    with Console(stderr=True).status(f"elaborating {config.name} ({config.rows} x {config.cols})"):
        core = generate(config, options.output)
    table_console().print(_summary(core, time.monotonic() - begin))
    return 0


if __name__ == "__main__":
    sys.exit(main())
