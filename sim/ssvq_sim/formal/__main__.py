"""`python -m ssvq_sim.formal [NAME ...]`: prove, and say what was proved."""

from __future__ import annotations

import argparse
import fnmatch
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ssvq_gen.command import reports_errors, require_least, table_console
from ssvq_gen.config import ConfigError

from .engines import Status
from .proof import Proof
from .proofs import all_proofs
from .results import RESULTS, Result, run_proofs

DEFAULT_FOLDER = Path("build/formal")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog="ssvq_sim.formal",
        description="Prove properties of the hardware with Yosys, sby, Yices and ABC. Files of each proof, with a "
        f"trace where sby finds that it fails, are in a folder of its name; {RESULTS} has the results of the run. What "
        "was proved and has not changed since is not proved again.",
    )
    result.add_argument("name", nargs="*", help="proofs, by name or pattern such as 'axi_*' (default: all, see --list)")
    result.add_argument("--output", type=Path, default=DEFAULT_FOLDER, help=f"folder (default: {DEFAULT_FOLDER})")
    result.add_argument("--quick", action="store_true", help="only those that take seconds")
    result.add_argument("--jobs", type=int, default=1, help="proofs at a time (default: 1)")
    result.add_argument("--again", action="store_true", help="also what has not changed")
    result.add_argument("--list", action="store_true", help="say what there is to prove, and stop")
    return result


def chosen(names: Sequence[str], *, quick: bool = False) -> list[Proof]:
    """Proofs by name or pattern, or all; with `quick` those that take seconds.

    Raises ConfigError for a name that none has.
    """
    proofs = all_proofs()
    for name in names:
        if not any(fnmatch.fnmatchcase(proof.name, name) for proof in proofs):
            raise ConfigError(f"a proof must be one of {', '.join(proof.name for proof in proofs)}, not {name!r}")
    wanted = [proof for proof in proofs if not names or any(fnmatch.fnmatchcase(proof.name, n) for n in names)]
    return [proof for proof in wanted if proof.quick or not quick]


def list_table(proofs: Sequence[Proof]) -> Table:
    """What there is to prove."""
    table = Table("proof", "what holds", "method", "quick", title="formal", title_justify="left")
    for proof in proofs:
        table.add_row(proof.name, proof.claim, proof.method.value, "yes" if proof.quick else "no")
    return table


def results_table(results: Sequence[tuple[Proof, Result]]) -> Table:
    """A line for each proof."""
    table = Table("proof", "what holds", "method", title="formal", title_justify="left")
    table.add_column("cycles", justify="right")
    table.add_column("result")
    table.add_column("s", justify="right")
    for proof, result in results:
        said = result.status.value if result.status is Status.PROVED else result.status.value.upper()
        cycles = str(result.depth) if result.depth else "-"
        table.add_row(proof.name, proof.claim, result.method, cycles, said, f"{result.seconds:.1f}")
    return table


@reports_errors()
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 when something is not proved or a tool is missing, 2 for a name that no proof has."""
    options = parser().parse_args(arguments)
    require_least(options, "jobs", 1)
    proofs = chosen(options.name, quick=options.quick)
    if options.list:
        table_console().print(list_table(proofs))
        return 0
    unproved: list[tuple[Result, str]] = []
    with Console(stderr=True).status("formal") as status:

        def follow(proof: Proof, result: Result, log: str) -> None:
            status.update(f"formal: {result.status} {proof.name}")
            if result.status is not Status.PROVED:
                unproved.append((result, log))

        results = run_proofs(proofs, options.output, jobs=options.jobs, again=options.again, follow=follow)
    table_console().print(results_table(list(zip(proofs, results, strict=True))))
    for result, log in unproved:
        print(f"{result.status.upper()} {result.name}, see {options.output / result.name}:\n{log}", file=sys.stderr)
    return 1 if unproved else 0


if __name__ == "__main__":
    sys.exit(main())
