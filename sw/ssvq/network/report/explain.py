"""`ssvq compile --explain`: what every step reads and writes, where that is, and what moves on the bus."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from ssvq.network.integer.integer_network import ImageStep, Step
from ssvq.network.program.emission import CompiledNetwork
from ssvq.network.program.memory_plan import Lifetime
from ssvq.network.report.memory_use import peak, share, words_by_step
from ssvq.network.report.step_work import StepWork, steps_of_jobs, steps_work
from ssvq.program import Job
from ssvq_gen.config import CoreConfig
from ssvq_gen.format import Opcode


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A tensor, parameters or a table.

    Attributes:
        name: of it.
        word: first one in the activation memory; None for what is in DRAM.
        words: how many.
    """

    name: str
    word: int | None
    words: int

    def __str__(self) -> str:
        if self.word is None:
            return f"{self.name} [DRAM]"
        return f"{self.name} [{self.word:,}..{self.word + self.words - 1:,}]"


@dataclass(frozen=True, kw_only=True)
class ExplainedStep:
    """A step of the program.

    Attributes:
        number: of the step; None for what loads an input or stores an output.
        name, kinds: see `StepWork`.
        rows: of the output image that it computes, as `3 to 7 of 14`; "" where it computes all.
        reads, writes: tensors.
        loads: constants that it brings, for itself or for the step after it.
        weight_bytes, load_bytes, store_bytes: on the bus.
        words: in use while it runs.
    """

    number: int | None
    name: str
    kinds: tuple[str, ...]
    rows: str
    reads: tuple[Placed, ...]
    writes: tuple[Placed, ...]
    loads: tuple[Placed, ...]
    weight_bytes: int
    load_bytes: int
    store_bytes: int
    words: int | None


def explain(made: CompiledNetwork, config: CoreConfig) -> tuple[ExplainedStep, ...]:
    """Every job of a compiled network's program, in order. Raises ProgramError when it is for another core."""
    works, words = steps_work(made, config, config.beat_bytes), words_by_step(made.plan)
    jobs = zip(made.program.jobs, works, steps_of_jobs(made), strict=True)
    return tuple(_explained(made, words, job, work, number) for job, work, number in jobs)


def _explained(
    made: CompiledNetwork, words: Sequence[int], job: Job, work: StepWork, number: int | None
) -> ExplainedStep:
    step = None if number is None else made.network.steps[number]
    indices = range(job.first_descriptor, job.first_descriptor + job.descriptor_count)
    fields = [made.program.descriptor(index) for index in indices]
    loaded = [d["destination"] for d in fields if d["opcode"] == Opcode.LOAD]
    stored = [d["source"] for d in fields if d["opcode"] == Opcode.STORE]
    at = number if number is not None else 0 if loaded else len(words) - 1
    to_memory, from_memory = _at_words(made, loaded, at), _at_words(made, stored, at)
    writes = to_memory if step is None else _placed(made, [step.target.tensor])
    return ExplainedStep(
        number=number,
        name=job.name,
        kinds=work.kinds,
        rows=_rows(step),
        reads=from_memory if step is None else _placed(made, (block.tensor for block in step.sources)),
        writes=writes,
        loads=tuple(placed for placed in to_memory if placed not in writes),
        weight_bytes=work.streamed_bytes,
        load_bytes=work.load_bytes,
        store_bytes=work.store_bytes,
        words=None if number is None else words[number],
    )


def explain_table(made: CompiledNetwork, config: CoreConfig, *, title: str = "the network") -> Table:
    """The same as a table, with sums. Raises ProgramError when the program is for another core."""
    rows, most = explain(made, config), peak(made.plan)
    at = next((row.name for row in rows if row.number == most.step), "the end")
    caption = f"most in use: {share(most.words, made.plan.depth)} in step {most.step}, {at}"
    table = Table(title=Text(f"steps of {title}, and the activation memory"), caption=Text(caption), show_footer=True)
    table.add_column("", justify="right", footer=f"{len(made.network.steps):,}")
    table.add_column("step, what it does", overflow="fold")
    table.add_column("reads <, writes >, constants +, and their words", overflow="fold")
    for head, total in (
        ("weights B", sum(row.weight_bytes for row in rows)),
        ("LOAD B", sum(row.load_bytes for row in rows)),
        ("STORE B", sum(row.store_bytes for row in rows)),
    ):
        table.add_column(head, justify="right", footer=f"{total:,}")
    table.add_column("in use", justify="right", footer=f"{most.words:,}")
    for row in rows:
        counts = (row.weight_bytes, row.load_bytes, row.store_bytes, row.words)
        parts = [("<", row.reads), (">", row.writes), ("+", row.loads)]
        table.add_row(
            "" if row.number is None else str(row.number),
            Text(f"{row.name}\n{', '.join(row.kinds)}" + (f", rows {row.rows}" if row.rows else "")),
            Text("\n".join(f"{sign} {placed}" for sign, group in parts for placed in group)),
            *(f"{count:,}" if count else "" for count in counts),
        )
    return table


def _placed(made: CompiledNetwork, names: Iterable[str]) -> tuple[Placed, ...]:
    """Each once."""
    lifetimes = {own.name: own for own in made.plan.lifetimes}
    return tuple(
        _of(made, lifetimes[name]) if name in lifetimes else Placed(name=name, word=None, words=0)
        for name in dict.fromkeys(names)
    )


def _at_words(made: CompiledNetwork, words: Iterable[int], step: int) -> tuple[Placed, ...]:
    """What begins at these words, and is there in the step or in the one after it."""
    found = {
        made.plan.places[own.name]: own
        for shift in (1, 0)
        for own in made.plan.lifetimes
        if own.first <= step + shift and step <= own.last
    }
    return tuple(_of(made, found[word]) for word in dict.fromkeys(words) if word in found)


def _of(made: CompiledNetwork, own: Lifetime) -> Placed:
    return Placed(name=own.name, word=made.plan.places[own.name], words=own.words)


def _rows(step: Step | None) -> str:
    """Of an image's output, where they are not all."""
    if not isinstance(step, ImageStep):
        return ""
    height, _ = step.operation.geometry.output_size(step.height, step.width)
    start, stop = step.rows
    return "" if (start, stop) == (0, height) else f"{start} to {stop - 1} of {height}"
