"""What came of mutants of what is proved, as formal_mutants.json has it and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from ...mutants.report import TARGET, Tally
from ...mutants.survivors import Explanations, Kind, problems_of_explanations
from .judge import Fate
from .run import Mutant

SURVIVORS_FILE = Path(__file__).with_name("survivors.toml")


@dataclass(frozen=True, kw_only=True)
class Report:
    """All mutants of a run.

    Attributes:
        mutants: in their order.
        explanations: of survivors, by `str(mutant)`.
        problems: what must not be; the run has failed when there is one.
    """

    mutants: Sequence[Mutant]
    explanations: Explanations
    problems: Sequence[str]

    def tally(self, components: Sequence[str]) -> Tally:
        """Of mutants of some components, without those outside."""
        own = [mutant for mutant in self.mutants if mutant.component in components and mutant.fate is not Fate.OUTSIDE]
        kinds = [self.explanations.of[str(mutant)].kind for mutant in own if _explained(mutant, self.explanations)]
        return Tally(
            run=len(own),
            killed=sum(mutant.fate is Fate.KILLED for mutant in own),
            equivalent=kinds.count(Kind.EQUIVALENT),
            unreached=kinds.count(Kind.UNREACHED),
        )

    @property
    def components(self) -> list[str]:
        """Their names."""
        return list(dict.fromkeys(mutant.component for mutant in self.mutants))

    def to_dict(self) -> dict[str, Any]:
        """As formal_mutants.json has it."""
        total = self.tally(self.components)
        explained = self.explanations.of
        return {
            **total.to_dict(),
            "score": round(total.score, 4),
            "outside": sum(mutant.fate is Fate.OUTSIDE for mutant in self.mutants),
            "survivors": [
                {"mutation": str(mutant), "reason": explained[str(mutant)].reason if str(mutant) in explained else ""}
                for mutant in self.mutants
                if mutant.fate is Fate.SURVIVED
            ],
            "problems": list(self.problems),
        }


def _explained(mutant: Mutant, explanations: Explanations) -> bool:
    return mutant.fate is Fate.SURVIVED and str(mutant) in explanations.of


def make_report(mutants: Sequence[Mutant], explanations: Explanations, *, count: int, seed: int) -> Report:
    """The report on mutants that were drawn with a count and a seed."""
    whole = (count, seed) == (explanations.count, explanations.seed)
    killed = [mutant for mutant in mutants if mutant.fate is not Fate.SURVIVED]
    problems = [
        *(
            f"a mutant survives and is not explained: {mutant}"
            for mutant in mutants
            if mutant.fate is Fate.SURVIVED and str(mutant) not in explanations.of
        ),
        *problems_of_explanations(explanations, mutants, killed, whole=whole),
    ]
    report = Report(mutants=mutants, explanations=explanations, problems=problems)
    score = report.tally(report.components).score
    if score < TARGET:
        problems.append(f"{score:.1%} of the mutants are refused, fewer than {TARGET:.0%}")
    return report


def results_table(report: Report) -> Table:
    """A line for each component with survivors, and one for all."""
    table = Table("component", title="mutants", title_justify="left")
    for name in ("run", "killed", "equivalent", "unreached", "unexplained", "score"):
        table.add_column(name, justify="right")
    rows = {name: tally for name in report.components if (tally := report.tally([name])).killed < tally.run}
    for name, tally in {**rows, "all": report.tally(report.components)}.items():
        numbers = (tally.run, tally.killed, tally.equivalent, tally.unreached, tally.unexplained)
        table.add_row(name, *map(str, numbers), f"{tally.score:.1%}")
    return table
