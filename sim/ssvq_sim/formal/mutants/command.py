"""The command of `make formal-mutants`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ssvq_gen.command import reports_errors, require_least, table_console
from ssvq_gen.files import write_whole

from ...mutants.survivors import read_explanations
from ..proofs import all_proofs
from .judge import Fate, mutable
from .report import SURVIVORS_FILE, make_report, results_table
from .run import Mutant, run_mutants

RESULTS = "formal_mutants.json"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog="ssvq_sim.formal.mutants",
        description="Change the hardware in one place at a time, as Yosys draws them, and see whether its proofs are "
        f"refused. {RESULTS} has the score and the survivors, which {SURVIVORS_FILE.name} has to explain. A run that "
        "was interrupted goes on.",
    )
    result.add_argument("--mutants", type=int, default=300, help="over all components together (default: 300)")
    result.add_argument("--seed", type=int, default=1, help="of the draw (default: 1)")
    result.add_argument("--output", type=Path, default=Path("build/formal"), help="folder (default: build/formal)")
    return result


@reports_errors()
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 for a survivor that is not explained, too few that are refused, or a tool that stops."""
    options = parser().parse_args(arguments)
    require_least(options, "mutants", 1)
    explanations = read_explanations(SURVIVORS_FILE)
    with Console(stderr=True).status("mutants") as status:
        seen: list[Mutant] = []

        def follow(mutant: Mutant) -> None:
            seen.append(mutant)
            status.update(
                f"mutants: {len(seen)}, {sum(one.fate is Fate.KILLED for one in seen)} killed, {mutant.component}"
            )

        mutants = run_mutants(
            mutable(all_proofs()), options.output, count=options.mutants, seed=options.seed, follow=follow
        )
    report = make_report(mutants, explanations, count=options.mutants, seed=options.seed)
    write_whole(options.output / RESULTS, json.dumps(report.to_dict(), indent=1) + "\n")
    table_console().print(results_table(report))
    for problem in report.problems:
        print(problem)
    print("FAIL" if report.problems else "PASS", f"{options.output / RESULTS}", sep=": ")
    return 1 if report.problems else 0
