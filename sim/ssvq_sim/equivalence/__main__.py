"""`python -m ssvq_sim.equivalence [BLOCK ...]`: prove that netlists do what the Verilog says."""

from __future__ import annotations

import argparse
import fnmatch
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from ssvq_gen.command import reports_errors, require_least, table_console
from ssvq_gen.config import ConfigError
from ssvq_gen.synthesis.show import Stage

from .blocks import BLOCKS, LEFT_OUT, Block
from .families import FAMILIES, Family
from .proof import SECONDS, Status
from .results import RESULTS, Result, compare_all

DEFAULT_FOLDER = Path("build/equivalence")
DESCRIPTION = (
    "Synthesize blocks of `tiny`, each alone, and prove that the netlist has the same outputs as the Verilog, from "
    "power-up on, in all cycles and for all inputs. Yosys makes the netlists, with the commands of `make synth`, and "
    "knows what their cells do; ABC proves. Memories and multipliers stay outside: what goes into them has to be the "
    "same, and what comes out may be anything. Verilog, netlist and model of each pair are in a folder BLOCK/FAMILY; "
    f"{RESULTS} has the results of the run. What was compared and has not changed since is not compared again."
)
EXAMPLES = """examples:
  python -m ssvq_sim.equivalence --list
  python -m ssvq_sim.equivalence load store 'weight_*' --family ecp5
  python -m ssvq_sim.equivalence --jobs 2
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog="ssvq_sim.equivalence",
        description=textwrap.fill(DESCRIPTION, 80),
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("block", nargs="*", help="blocks, by name or pattern such as 'weight_*' (default: all)")
    result.add_argument(
        "--family", nargs="+", choices=list(FAMILIES), default=list(FAMILIES), help="families (default: all)"
    )
    result.add_argument("--output", type=Path, default=DEFAULT_FOLDER, help=f"folder (default: {DEFAULT_FOLDER})")
    result.add_argument("--jobs", type=int, default=1, help="comparisons at a time, 0.5 GB each (default: 1)")
    result.add_argument(
        "--seconds", type=int, default=SECONDS, help=f"what one may take, synthesis included (default: {SECONDS})"
    )
    result.add_argument("--again", action="store_true", help="also what has not changed")
    result.add_argument(
        "--list", action="store_true", help="say which blocks there are, and what is left out, and stop"
    )
    return result


def chosen(names: Sequence[str]) -> list[Block]:
    """Blocks by name or pattern, or all. Raises ConfigError for a name that none has."""
    for name in names:
        if not any(fnmatch.fnmatchcase(block.name, name) for block in BLOCKS):
            raise ConfigError(f"a block must be one of {', '.join(block.name for block in BLOCKS)}, not {name!r}")
    return [block for block in BLOCKS if not names or any(fnmatch.fnmatchcase(block.name, name) for name in names)]


def list_table(blocks: Sequence[Block]) -> Table:
    """What there is to compare."""
    table = Table("block", "part", "outside", title="blocks", title_justify="left")
    for block in blocks:
        table.add_row(block.name, block.part, ", ".join(block.outside) or "-")
    return table


def left_out_table() -> Table:
    """What there is besides, and why it is not compared."""
    table = Table("component", "reason", title="left out", title_justify="left")
    for component, reason in LEFT_OUT.items():
        table.add_row(component, reason)
    return table


def results_table(blocks: Sequence[Block], families: Sequence[Family], results: Sequence[Result]) -> Table:
    """A line for each block; by family what came of it, the cells of its netlist and the seconds."""
    table = Table("block", "part", "outside", title="equivalence", title_justify="left")
    for family in families:
        table.add_column(f"{family.target.title}: cells, s", justify="right")
    found = {(result.block, result.family): result for result in results}
    for block in blocks:
        of_block = [found[block.name, family.name] for family in families]
        table.add_row(block.name, block.part, ", ".join(block.outside) or "-", *map(_cell, of_block))
    return table


def _cell(result: Result) -> str:
    said = result.status.value if result.status is Status.PROVED else result.status.value.upper()
    return f"{said} {result.cells:,} {result.seconds:.0f}"


def summary(results: Sequence[Result]) -> str:
    """How many of the results are of each kind."""
    counts = Counter(result.status for result in results)
    cells = sum(result.cells for result in results if result.status is Status.PROVED)
    said = ", ".join(f"{counts[status]} {status.value}" for status in Status if counts[status])
    return f"{len(results)} netlists: {said}; {cells:,} cells in those that are proved"


@reports_errors()
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 when something is not proved or a tool is missing, 2 for a name that no block has."""
    options = parser().parse_args(arguments)
    require_least(options, "jobs", 1)
    require_least(options, "seconds", 1)
    blocks, families = chosen(options.block), [FAMILIES[name] for name in FAMILIES if name in options.family]
    if options.list:
        table_console().print(list_table(blocks))
        table_console().print(left_out_table())
        return 0
    with Stage("equivalence") as stage:

        def follow(result: Result) -> None:
            stage.step(f"{result.block} for {result.family}")(result.status.value)

        results = compare_all(
            blocks,
            families,
            options.output,
            jobs=options.jobs,
            seconds=options.seconds,
            again=options.again,
            follow=follow,
        )
    console = table_console()
    console.print(results_table(blocks, families, results))
    console.print(summary(results))
    failures = [result for result in results if result.status is not Status.PROVED]
    for result in failures:
        place = options.output / result.block / result.family
        said = f"{result.block} for {result.family}, {result.status}: {result.detail}"
        print(f"FAIL {said}, see {place}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
