"""A run over all mutants of the `tiny` core."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ssvq_gen.config import PRESETS, ConfigError, CoreConfig
from ssvq_gen.verilog import TOP

from ..cache import content_key
from ..core_verilog import CoreVerilog, core_verilog
from ..job_files import write_json
from ..runner import SimulationError
from ..simulator import Runs, Simulator, build_simulator
from .judge import Judge
from .kept import KeptVerdicts
from .mutation import Mutation
from .report import Report, make_report
from .survivors import Explanations, read_explanations
from .verdict import Verdict
from .verilog import MutatedVerilog, mutated_verilog

CONFIG = PRESETS["tiny"]
COUNT_DEFAULT = 600
_FIRST = 48
"""Scenarios that have killed most: they kill nearly all that is killed, and take a second of the ten that all take."""
RESULT_FILE, KEPT_FILE = "mutants.json", "verdicts.jsonl"
OnVerdict = Callable[[Mutation, Verdict, int], None]
"""Told a mutant, the verdict on it, and how many mutants there are in all."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to run.

    Attributes:
        count, seed: of the list of mutants.
        only: modules whose names end so; all when there are none.
        output: folder of the result and of verdicts that are kept.
    """

    count: int = COUNT_DEFAULT
    seed: int = 0
    only: tuple[str, ...] = ()
    output: Path = Path("build/mutants")


def run_mutants(settings: Settings, *, on_verdict: OnVerdict | None = None) -> Report:
    """Judge the mutants that no kept verdict is on, write mutants.json and return what is in it.

    Raises ConfigError for modules that there are not and counts that do not do, SurvivorsError for a bad file of
    explanations, BuildError, ToolError, and SimulationError when the core itself does not get through the scenarios.
    """
    explanations = read_explanations()
    mutated = draw(settings)
    chosen = choose(mutated.mutations, settings.only)
    kept = KeptVerdicts(settings.output / KEPT_FILE)
    with ready_judge(mutated) as (judge, identity):
        results = judge_all(chosen, judge.verdict, kept, identity, on_verdict)
        report = _report(settings, explanations, mutated, results, len(judge.scenarios))
    settings.output.mkdir(parents=True, exist_ok=True)
    write_json(settings.output / RESULT_FILE, report.to_dict())
    return report


def draw(settings: Settings) -> MutatedVerilog:
    """The core with its mutants. Raises ConfigError."""
    try:
        return mutated_verilog(core_verilog(CONFIG).path, TOP, count=settings.count, seed=settings.seed)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def choose(mutations: tuple[Mutation, ...], only: tuple[str, ...]) -> dict[int, Mutation]:
    """Mutants by number, of modules whose names end with one of `only`. Raises ConfigError when one of it has none."""
    for name in only:
        if not any(mutation.module.endswith(name) for mutation in mutations):
            modules = ", ".join(sorted({mutation.module for mutation in mutations}))
            raise ConfigError(f"there is no module {name!r}; there are {modules}")
    numbered = enumerate(mutations, start=1)
    return {number: mutation for number, mutation in numbered if not only or mutation.module.endswith(only)}


def build(mutated: MutatedVerilog, config: CoreConfig = CONFIG) -> Simulator:
    """The simulator of all mutants. Raises BuildError."""
    return build_simulator(
        config,
        verilog=CoreVerilog(path=mutated.path, models=(), seconds=0.0),
        extra_defines={"SSVQ_MUTANT_WIDTH": mutated.width},
        runs=Runs.MANY,
    )


@contextmanager
def ready_judge(mutated: MutatedVerilog) -> Iterator[tuple[Judge, str]]:
    """A judge before whom the core itself has done all scenarios, and what its verdicts depend on beside the mutant."""
    simulator = build(mutated)
    with Judge(simulator) as judge:
        core = judge.verdict(0)
        if core.killed:
            raise SimulationError(f"the core itself fails in {core.scenario!r}: {core.problem}")
        yield judge, content_key({"simulator": simulator.executable.parent.name, "workload": judge.digest})


def judge_all(
    chosen: Mapping[int, Mutation],
    judge: Callable[[int, Sequence[str]], Verdict],
    kept: KeptVerdicts,
    identity: str,
    on_verdict: OnVerdict | None = None,
) -> dict[int, tuple[Mutation, Verdict]]:
    """Mutants with the verdicts on them, by number; those that are not kept are judged and kept.

    The scenario that killed a mutant when it was last judged comes first, then those that have killed most, then all.

    identity : stands for everything that verdicts depend on beside the mutation
    """
    results = {}
    kills: Counter[str] = Counter()
    # In an order that has nothing to do with modules, so that what is known in between is true of all of them.
    for number, mutation in sorted(chosen.items(), key=lambda item: content_key({"mutation": str(item[1])})):
        key = content_key({"identity": identity, "mutation": str(mutation)})
        verdict = kept.get(key, number)
        if verdict is None:
            last = kept.last_scenario(str(mutation))
            verdict = judge(number, [*([last] if last else []), *(name for name, _ in kills.most_common(_FIRST))])
            kept.add(key, str(mutation), verdict)
        if verdict.scenario:
            kills[verdict.scenario] += 1
        results[number] = mutation, verdict
        if on_verdict is not None:
            on_verdict(mutation, verdict, len(chosen))
    return dict(sorted(results.items()))


def _report(
    settings: Settings,
    explanations: Explanations,
    mutated: MutatedVerilog,
    results: Mapping[int, tuple[Mutation, Verdict]],
    scenarios: int,
) -> Report:
    return make_report(
        results,
        explanations,
        drawn=mutated.mutations,
        source=mutated.source.read_text(encoding="utf-8").splitlines(),
        count=settings.count,
        seed=settings.seed,
        scenarios=scenarios,
    )
