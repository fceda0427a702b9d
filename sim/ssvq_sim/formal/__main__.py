"""`python -m ssvq_sim.formal [NAME ...]`: prove, and say what was proved."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ssvq_gen.command import reports_errors, table_console
from ssvq_gen.config import ConfigError

from .proof import Proof, Verdict, prove
from .proofs import all_proofs

_LOG_LINES = 12


def parser() -> argparse.ArgumentParser:
    """The command line."""
    names = ", ".join(proof.name for proof in all_proofs())
    result = argparse.ArgumentParser(
        prog="ssvq_sim.formal",
        description="Prove properties of the multiplier cells with Yosys, sby and Yices. Files of each proof, with a "
        "trace where it fails, are in a folder of its name.",
    )
    result.add_argument("name", nargs="*", help=f"proofs (default: all): {names}")
    result.add_argument("--output", type=Path, default=Path("build/formal"), help="folder (default: build/formal)")
    return result


def chosen(names: Sequence[str]) -> list[Proof]:
    """Proofs by name, or all. Raises ConfigError for a name that none has."""
    proofs = {proof.name: proof for proof in all_proofs()}
    for name in names:
        if name not in proofs:
            raise ConfigError(f"a proof must be one of {', '.join(proofs)}, not {name!r}")
    return [proofs[name] for name in names] or list(proofs.values())


def _how(proof: Proof) -> str:
    return str(proof.depth) if proof.bounded else "all, by induction"


def results_table(results: Sequence[tuple[Proof, Verdict]]) -> Table:
    """A line for each proof."""
    table = Table("proof", "what holds", "cycles", "result", title="formal", title_justify="left")
    table.add_column("s", justify="right")
    for proof, verdict in results:
        result = "proved" if verdict.holds else "FAILED"
        table.add_row(proof.name, proof.claim, _how(proof), result, f"{verdict.seconds:.1f}")
    return table


@reports_errors()
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 when something is not proved or a tool is missing, 2 for a name that no proof has."""
    options = parser().parse_args(arguments)
    results = []
    for proof in chosen(options.name):
        with Console(stderr=True).status(proof.name):
            results.append((proof, prove(proof, options.output / proof.name)))
    table_console().print(results_table(results))
    for proof, verdict in results:
        if not verdict.holds:
            lines = "\n".join(verdict.log.splitlines()[-_LOG_LINES:])
            print(f"FAIL {proof.name}, see {options.output / proof.name}:\n{lines}", file=sys.stderr)
    return 0 if all(verdict.holds for _, verdict in results) else 1


if __name__ == "__main__":
    sys.exit(main())
