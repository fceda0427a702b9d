"""What the page says, as data for its template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ssvq.network.report.bars import LABELS, MEANINGS, Segment, segments
from ssvq.network.report.cycle_charges import Classes
from ssvq.network.report.memory_picture import memory_svg
from ssvq.network.report.memory_use import peak, scope_of
from ssvq.network.report.run_record import RunRecord
from ssvq.network.report.step_report import Row, StepReport
from ssvq.network.report.step_work import StepWork, joined
from ssvq.network.report.subject import Subject, baseline_of
from ssvq.network.work_report import WorkReport
from ssvq_gen.config import CoreConfig

FLOAT_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a table of layers or steps: the row, its share of all cycles, and its bar."""

    row: Row
    share: float | None
    bar: Sequence[Segment]

    @property
    def work(self) -> StepWork:
        """Of the row."""
        return self.row.work


@dataclass(frozen=True, kw_only=True)
class ClassLine:
    """Cycles of one class in the whole run."""

    label: str
    meaning: str
    segment: Segment


@dataclass(frozen=True, kw_only=True)
class RunLine:
    """A run.

    Attributes:
        run: the record.
        roofline: least cycles at its rate.
        int8_cycles: of the same network with int8 weights; None where that was not measured.
    """

    run: RunRecord
    roofline: float
    int8_cycles: int | None

    @property
    def faster(self) -> float | None:
        """Cycles with int8 weights over its own; None where one of them was not measured."""
        return self.int8_cycles / self.run.cycles if self.int8_cycles and self.run.cycles else None


@dataclass(frozen=True, kw_only=True)
class Memory:
    """A part's activation memory: its name, words in use at most, and the picture."""

    part: str
    words: int
    depth: int
    picture: str


@dataclass(frozen=True, kw_only=True)
class Content:
    """All of a page, see the template.

    Attributes:
        main: the run that layers and classes are of; None without runs.
        whole: all steps as one, without what is no step's.
        classes: of the whole run, by class; empty when it was not measured.
        rest: cycles of no step, and `beyond`: the descriptors that they are of.
        kinds: layers by what they do first, those that cost most first.
    """

    subject: Subject
    main: RunLine | None
    runs: Sequence[RunLine]
    whole: Row
    total: int | None
    classes: Sequence[ClassLine]
    layers: Sequence[Line]
    steps: Sequence[Line]
    kinds: Sequence[Line]
    rest: int
    beyond: int
    memories: Sequence[Memory]
    commands: Sequence[str]

    @property
    def config(self) -> CoreConfig:
        """Of the core."""
        return self.subject.config

    @property
    def hosts(self) -> WorkReport | None:
        """What is on the host."""
        return self.subject.work

    @property
    def ratio_to_float(self) -> float | None:
        """Bytes of the weights as float32 over those of the weight streams; None without weights."""
        work = self.whole.work
        return FLOAT_BYTES * work.weights / work.weight_bytes if work.streams else None

    @property
    def array_use(self) -> float | None:
        """Multiplications over those that the array could have done in all cycles; depthwise ones are not its own."""
        if self.total is None:
            return None
        own = sum(line.work.macs for line in self.layers if "depthwise" not in line.work.kinds)
        return own / (self.total * self.config.rows * self.config.cols)


def content_of(
    subject: Subject, runs: Sequence[RunRecord], baselines: Sequence[RunRecord], commands: Sequence[str]
) -> Content:
    """What the page says of a network and its runs, which have been checked. Raises ReportError."""
    lines = [_run_line(subject, run, baselines) for run in runs]
    main = _main(lines)
    reports = subject.reports(None if main is None else main.run)
    rows = [row for report in reports.values() for row in report.steps]
    whole = _sum("all", rows)
    total = _total(reports)
    classes = _classes([report.classes for report in reports.values()])
    layers = [row for report in reports.values() for row in report.layers]
    return Content(
        subject=subject,
        main=main,
        runs=lines,
        whole=whole,
        total=total,
        classes=[
            ClassLine(label=part.label, meaning=MEANINGS[part.name], segment=part)
            for part in segments(classes, total or 0)
        ],
        layers=_lines(layers, total),
        steps=_lines(rows, total),
        kinds=_kinds(layers, total),
        rest=sum(sum(report.rest.values()) for report in reports.values()),
        beyond=sum(report.left_out for report in reports.values()),
        memories=[
            Memory(
                part=name,
                words=peak(made.plan).words,
                depth=made.plan.depth,
                picture=memory_svg(made, subject.config.word_bytes),
            )
            for name, made in subject.parts.items()
        ],
        commands=[*dict.fromkeys([*(run.command for run in (*baselines, *runs) if run.command), *commands])],
    )


def scopes(lines: Sequence[Line]) -> list[tuple[str, list[Line]]]:
    """Layers by the part of the model that they are in, as long as they follow each other."""
    found: list[tuple[str, list[Line]]] = []
    for line in lines:
        scope = scope_of(line.work.layer)
        if not found or found[-1][0] != scope:
            found.append((scope, []))
        found[-1][1].append(line)
    return found


def _run_line(subject: Subject, run: RunRecord, baselines: Sequence[RunRecord]) -> RunLine:
    roofline = sum(report.whole.work.roofline_cycles for report in subject.reports(run).values())
    other = baseline_of(run, baselines)
    return RunLine(run=run, roofline=roofline, int8_cycles=other.cycles if other else None)


def _main(lines: Sequence[RunLine]) -> RunLine | None:
    """The first with profiles, or the first with cycles, or the first."""
    profiled = [line for line in lines if line.run.parts and all(part.profile for part in line.run.parts)]
    measured = [line for line in lines if line.run.cycles is not None]
    return next(iter([*profiled, *measured, *lines]), None)


def _total(reports: Mapping[str, StepReport]) -> int | None:
    totals = [report.total for report in reports.values() if report.total is not None]
    return sum(totals) if len(totals) == len(reports) and totals else None


def _classes(parts: Sequence[Classes]) -> dict[str, int]:
    return {name: sum(part.get(name, 0) for part in parts) for name in LABELS}


def _lines(rows: Sequence[Row], total: int | None) -> list[Line]:
    room = max((row.cycles or 0 for row in rows), default=0)
    return [
        Line(
            row=row,
            share=None if row.cycles is None or not total else row.cycles / total,
            bar=segments(row.classes or {}, room),
        )
        for row in rows
    ]


def _kinds(layers: Sequence[Row], total: int | None) -> list[Line]:
    groups: dict[str, list[Row]] = {}
    for row in layers:
        groups.setdefault(row.work.kinds[0], []).append(row)
    rows = [_sum(kind, group) for kind, group in groups.items()]
    return _lines(sorted(rows, key=lambda row: -(row.cycles or 0)), total)


def _sum(name: str, rows: Sequence[Row]) -> Row:
    measured = [row.classes for row in rows if row.classes is not None]
    return Row(
        work=joined(name, [row.work for row in rows]),
        classes=_classes(measured) if measured else None,
        beyond=sum(row.beyond for row in rows),
    )
