"""What came of all mutants, as mutants.json has it and as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from .mutation import Mutation
from .survivors import Explanation, Explanations, Kind, problems_of_explanations
from .verdict import Verdict

TARGET = 0.95


@dataclass(frozen=True, kw_only=True)
class Survivor:
    """A mutant that got through all scenarios.

    Attributes:
        line: of the generated Verilog, with its number.
        kind, reason: of its explanation; empty when it has none.
    """

    number: int
    module: str
    mutation: str
    line: str
    kind: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Mutants of one module, or of all.

    Attributes:
        equivalent, unreached: those of the survivors that are explained as such.
    """

    run: int
    killed: int
    equivalent: int
    unreached: int

    @property
    def unexplained(self) -> int:
        """Survivors that nothing is said of."""
        return self.run - self.killed - self.equivalent - self.unreached

    @property
    def score(self) -> float:
        """Killed, of those that are no equivalents of the core; 1 when there are none."""
        real = self.run - self.equivalent
        return self.killed / real if real else 1.0

    def to_dict(self) -> dict[str, int]:
        """As JSON takes it."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Report:
    """All mutants of a run.

    Attributes:
        count, seed: of the list of mutants; `total.run` is smaller when only some modules were asked for.
        scenarios: that each mutant has to get through.
        problems: what must not be; the run has failed when there is one.
    """

    count: int
    seed: int
    scenarios: int
    total: Tally
    modules: Mapping[str, Tally]
    survivors: Sequence[Survivor]
    problems: Sequence[str]

    def to_dict(self) -> dict[str, Any]:
        """As mutants.json has it."""
        return {
            **self.total.to_dict(),
            "score": round(self.total.score, 4),
            "count": self.count,
            "seed": self.seed,
            "scenarios": self.scenarios,
            "survivors": [asdict(survivor) for survivor in self.survivors],
            "modules": {name: tally.to_dict() for name, tally in self.modules.items()},
            "problems": list(self.problems),
        }


def make_report(
    results: Mapping[int, tuple[Mutation, Verdict]],
    explanations: Explanations,
    *,
    drawn: Sequence[Mutation],
    source: Sequence[str],
    count: int,
    seed: int,
    scenarios: int,
) -> Report:
    """The report on mutants by number.

    drawn : all mutants, also those that were not asked for
    source : lines of the generated Verilog
    """
    alive = {number: mutation for number, (mutation, verdict) in results.items() if not verdict.killed}
    survivors = [
        _survivor(number, mutation, explanations.of.get(str(mutation)), source) for number, mutation in alive.items()
    ]
    modules = sorted({mutation.module for mutation, _ in results.values()})
    total = _tally(list(results.values()), survivors)
    killed = [mutation for mutation, verdict in results.values() if verdict.killed]
    whole = (count, seed) == (explanations.count, explanations.seed)
    problems = [
        *(f"mutant {s.number} survives and is not explained: {s.mutation}" for s in survivors if not s.kind),
        *problems_of_explanations(explanations, drawn, killed, whole=whole),
    ]
    if total.score < TARGET and len(results) == len(drawn):
        problems.append(f"{total.score:.1%} of the mutants are killed, fewer than {TARGET:.0%}")
    return Report(
        count=count,
        seed=seed,
        scenarios=scenarios,
        total=total,
        modules={
            module: _tally(
                [result for result in results.values() if result[0].module == module],
                [survivor for survivor in survivors if survivor.module == module],
            )
            for module in modules
        },
        survivors=survivors,
        problems=problems,
    )


def _survivor(number: int, mutation: Mutation, explanation: Explanation | None, source: Sequence[str]) -> Survivor:
    line = next(iter(mutation.lines), None)
    return Survivor(
        number=number,
        module=mutation.module,
        mutation=str(mutation),
        line="" if line is None else f"{line}: {source[line - 1].strip()}",
        kind=explanation.kind.value if explanation else "",
        reason=explanation.reason if explanation else "",
    )


def _tally(results: Sequence[tuple[Mutation, Verdict]], survivors: Sequence[Survivor]) -> Tally:
    kinds = [survivor.kind for survivor in survivors]
    return Tally(
        run=len(results),
        killed=sum(verdict.killed for _, verdict in results),
        equivalent=kinds.count(Kind.EQUIVALENT.value),
        unreached=kinds.count(Kind.UNREACHED.value),
    )


def results_table(report: Report) -> Table:
    """A line for each module with survivors, and one for all."""
    table = Table("module", title="mutants", title_justify="left")
    for name in ("run", "killed", "equivalent", "unreached", "unexplained", "score"):
        table.add_column(name, justify="right")
    rows = {name: tally for name, tally in report.modules.items() if tally.killed < tally.run}
    for name, tally in {**rows, "all modules": report.total}.items():
        numbers = (tally.run, tally.killed, tally.equivalent, tally.unreached, tally.unexplained)
        table.add_row(name, *map(str, numbers), f"{tally.score:.1%}")
    return table
