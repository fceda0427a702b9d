"""`python -m ssvq_sim.mutants`: change the core in many places, one at a time, and see whether anything notices."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ssvq_gen.command import reports_errors, require_least, table_console
from ssvq_gen.config import ConfigError
from ssvq_gen.toolbox import ToolError

from ..runner import SimulationError
from ..simulator import BuildError
from .equivalence import proving_module
from .mutation import Mutation
from .report import results_table
from .run import COUNT_DEFAULT, RESULT_FILE, Settings, choose, draw, ready_judge, run_mutants
from .survivors import Kind, SurvivorsError, read_explanations
from .verdict import Verdict

_EPILOG = """\
Yosys chooses the mutants, at least four in every module of the generated Verilog, and makes them all in one file, of
which a selector makes one active. Each mutant then has to get through scenarios whose results come from golden models:
programs with every kind of descriptor, jobs that must fail, register accesses, a host that disturbs. It is killed by
the first that is not right. Survivors are explained one by one in survivors.toml, beside the sources, or are a
failure; an explanation of a mutant that is killed is one as well. The exit code is 1 then, and 2 when something cannot
be run. A run that was interrupted goes on.

examples:
  make mutants                                              all of them
  python -m ssvq_sim.mutants --only decoder --only axil     those of some modules
  python -m ssvq_sim.mutants --replay 123                   one mutant: what it is, and what it fails
  python -m ssvq_sim.mutants --prove                        equivalent survivors: of which a solver says so, too
  python -m ssvq_sim.mutants --seed 5 --count 1000          others, of which nothing is explained
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog="ssvq_sim.mutants",
        description="Count the mutants of the `tiny` core that the simulation's scenarios notice.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument(
        "--count", type=int, default=COUNT_DEFAULT, help="mutants to choose (default: %(default)s)", metavar="N"
    )
    result.add_argument("--seed", type=int, default=0, help="chooses others (default: %(default)s)")
    result.add_argument(
        "--only", action="append", default=[], metavar="MODULE", help="modules whose names end so (default: all)"
    )
    result.add_argument("--replay", type=int, metavar="NUMBER", help="judge this mutant alone, and keep nothing")
    result.add_argument("--prove", action="store_true", help="look for proofs of survivors explained as equivalent")
    result.add_argument(
        "--output", type=Path, default=Path("build/mutants"), help="folder of mutants.json (default: %(default)s)"
    )
    return result


def replay(settings: Settings, number: int) -> int:
    """Say what a mutant is and what it fails; 0 when it is killed. Raises ConfigError for one that is not there."""
    mutated = draw(settings)
    if not 1 <= number <= len(mutated.mutations):
        raise ConfigError(f"--replay must be from 1 to {len(mutated.mutations)}, not {number}")
    mutation = mutated.mutations[number - 1]
    print(f"{mutation}\n{mutation.describe()}")
    lines = mutated.source.read_text(encoding="utf-8").splitlines()
    for line in mutation.lines:
        print(f"{line:6}: {lines[line - 1]}")
    with Console(stderr=True).status("the core, then the mutant"), ready_judge(mutated) as (judge, _):
        verdict = judge.verdict(number)
    end = f"killed by {verdict.scenario!r}: {verdict.problem}" if verdict.killed else "survives all scenarios"
    print(f"{end} ({verdict.seconds:.1f} s)")
    return 0 if verdict.killed else 1


def prove(settings: Settings) -> int:
    """Look for a proof of each survivor that is explained as equivalent; an explanation without one still stands."""
    explanations = read_explanations().of
    mutated = draw(settings)
    chosen = choose(mutated.mutations, settings.only).values()
    claimed = [m for m in chosen if str(m) in explanations and explanations[str(m)].kind is Kind.EQUIVALENT]
    proved = 0
    with Progress(console=Console(stderr=True)) as progress:
        for mutation in progress.track(claimed, description="proofs"):
            module = proving_module(mutated, mutation)
            proved += module is not None
            print(f"{'not proved' if module is None else f'proved in {module}'}: {mutation}")
    print(f"{proved} of {len(claimed)} equivalent mutants are proved to be")
    return 0


def _run(settings: Settings) -> int:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task("building", total=None)
        alive = 0

        def show(mutation: Mutation, verdict: Verdict, total: int) -> None:
            nonlocal alive
            alive += not verdict.killed
            progress.update(task, advance=1, total=total, description=f"{alive} of them survive")

        report = run_mutants(settings, on_verdict=show)
    table_console().print(results_table(report))
    print(settings.output / RESULT_FILE)
    for problem in report.problems:
        print(f"FAIL {problem}", file=sys.stderr)
    return 1 if report.problems else 0


@reports_errors(SurvivorsError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    options = parser().parse_args(arguments)
    require_least(options, "count", 1)
    require_least(options, "seed", 0)
    settings = Settings(count=options.count, seed=options.seed, only=tuple(options.only), output=options.output)
    try:
        if options.prove:
            return prove(settings)
        return _run(settings) if options.replay is None else replay(settings, options.replay)
    except (BuildError, SimulationError) as error:
        raise ToolError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
