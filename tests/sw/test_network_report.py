"""The page of `ssvq report`, and what it refuses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
import torch
from fake_profiles import counters_of, fake_profile
from run_records import CONFIG, record
from test_network_lowering import INT8, SSVQ, compiled, images, small_vit
from torch import Tensor, nn

from ssvq.network import graph_of
from ssvq.network.errors import ReportError
from ssvq.network.program.emission import CompiledNetwork
from ssvq.network.report.page import report_content, report_page
from ssvq.network.report.run_record import PartRun, RunRecord, program_digest
from ssvq.network.report.step_report import step_report
from ssvq.network.report.subject import Subject
from ssvq.network.work_report import work_report

VOID = {"meta", "br", "rect", "line"}


@pytest.fixture(scope="module")
def made() -> CompiledNetwork:
    return compiled(small_vit(), images(1), CONFIG, SSVQ)


@pytest.fixture(scope="module")
def dense() -> CompiledNetwork:
    return compiled(small_vit(), images(1), CONFIG, INT8)


def subject(made: CompiledNetwork, **changes: Any) -> Subject:
    work = work_report(graph_of(small_vit(), images(1)[0]))
    return Subject(**{"name": "vit", "config": CONFIG, "parts": {"core 0": made}, "work": work} | changes)


def page_of(
    own: Subject, runs: Sequence[RunRecord] = (), baselines: Sequence[RunRecord] = (), commands: Sequence[str] = ()
) -> str:
    return report_page(report_content(own, runs, baselines, commands=commands))


class Page(HTMLParser):
    """Texts and attributes of a page whose elements are all closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(text for text in self.texts if text)


def test_every_layer_is_there_with_its_numbers(made: CompiledNetwork) -> None:
    run = record(made)
    page = Page(page_of(subject(made), [run]))
    report = step_report(made, CONFIG, 1, profile=run.parts[0].profile)
    for row in (*report.layers, *report.steps):
        assert page.texts.count(row.work.layer) >= 1
        assert row.work.name in page.texts
        assert f"{row.cycles:,}" in page.texts
    for number in (report.total, report.whole.work.macs, report.whole.work.weights, report.whole.work.weight_bytes):
        assert f"{number:,}" in page.text
    assert "exact" in page.texts
    assert "0.9987" in page.texts
    assert "ssvq run vit.ssvqnet --record vit.json" in page.text
    assert "not measured" in page.texts
    assert "Nothing between input and output" in page.text


def test_a_page_needs_nothing_else(made: CompiledNetwork) -> None:
    text = page_of(subject(made), [record(made)])
    page = Page(text)
    assert not {name for _, name, _ in page.attributes} & {"src", "href", "xlink:href", "onload", "onclick"}
    assert "script" not in {tag for tag, _, _ in page.attributes}
    assert set(re.findall(r"https?://[^\"'\s]*", text)) == {"http://www.w3.org/2000/svg"}
    assert "url(" not in text
    assert "@import" not in text
    assert "prefers-color-scheme: dark" in text
    assert text == page_of(subject(made), [record(made)])


def test_speed_up_over_int8(made: CompiledNetwork, dense: CompiledNetwork) -> None:
    run, baseline = record(made), record(dense)
    part = baseline.parts[0]
    slower = fake_profile(dense.program)
    slower = replace(slower, total=slower.total + 500, tail={**slower.tail, "LOAD_CYCLES": 500})
    baseline = replace(baseline, parts=(replace(part, counters=counters_of(slower), profile=slower),))
    page = Page(page_of(subject(made), [run], [baseline]))
    assert run.cycles is not None
    assert baseline.cycles is not None
    assert f"{baseline.cycles / run.cycles:.2f} x" in page.texts
    assert f"faster: {baseline.cycles:,} cycles with int8" in page.texts
    faster_bus = replace(run, bytes_per_cycle=2)
    page = Page(page_of(subject(made), [run, faster_bus], [baseline]))
    faster = f"{baseline.cycles / run.cycles:.2f} x"
    assert page.texts.count(faster) == 2  # at the top, and in the line of the run
    assert "not measured" in page.texts


def test_pages_with_less_to_say(made: CompiledNetwork) -> None:
    page = Page(page_of(subject(made, work=None)))
    assert "Not measured." in page.texts
    assert "Not known: the file does not say." in page.texts
    assert "No commands are known." in page.texts
    run = record(made, backend="reference", parts=(PartRun(name="core 0", program=program_digest(made.program)),))
    run = replace(run, bit_exact=None)
    page = Page(page_of(subject(made), [run]))
    assert "reference" in page.texts
    assert "Not measured." in page.texts
    bare = replace(record(made), parts=tuple(replace(part, profile=None) for part in record(made).parts))
    assert "The run has no profile:" in Page(page_of(subject(made), [bare])).text
    assert f"{bare.cycles:,}" in Page(page_of(subject(made), [bare])).texts


def test_what_is_beyond_the_profile_is_said(made: CompiledNetwork) -> None:
    run = record(made, 10)
    profile = run.parts[0].profile
    assert profile is not None
    page = Page(page_of(subject(made), [run]))
    assert f"{profile.left_out} descriptors beyond the profile, all together" in page.texts
    assert f"{sum(profile.tail.values()):,}" in page.texts


class Sorted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        """(1, T, 8) to the same, sorted by the host."""
        return self.layer(x).sort(dim=2).values


def test_host_operators_have_reasons_and_bytes(made: CompiledNetwork) -> None:
    work = work_report(graph_of(Sorted().eval(), (torch.zeros(1, 6, 8),)))
    (node,) = [own for own in work.on_host if own.operation.startswith("aten.sort")]
    page = Page(page_of(subject(made, work=work)))
    assert {node.name, node.operation, node.host_reason, f"{node.bytes_in:,}"} <= set(page.texts)


def test_a_network_in_parts(made: CompiledNetwork, dense: CompiledNetwork) -> None:
    runs = record(made), record(dense)
    parts = tuple(replace(run.parts[0], name=f"core {number}") for number, run in enumerate(runs))
    run = record(made, parts=parts, weight_formats=("int8", "ssvq"))
    whole = Subject(name="vit", config=CONFIG, parts={"core 0": made, "core 1": dense})
    page = Page(page_of(whole, [run]))
    assert run.cycles == sum(part.cycles or 0 for part in parts)
    assert f"{run.cycles:,}" in page.texts
    weights = sum(step_report(own, CONFIG, 1).whole.work.weights for own in (made, dense))
    assert f"{weights:,}" in page.texts


def test_texts_are_escaped(made: CompiledNetwork) -> None:
    name = "<script>alert('x')</script>&"
    run = record(made, network=name, command="echo <b>&amp;</b>", metrics={"<i>": 1.0})
    text = page_of(subject(made, name=name), [run], commands=["<u>"])
    assert not re.search(r"<(script|b>&amp;amp|i>|u>)", text)
    assert name in unescape(text)
    Page(text)


def test_runs_of_something_else_are_refused(made: CompiledNetwork, dense: CompiledNetwork) -> None:
    own = subject(made)
    with pytest.raises(ReportError, match=r"^run of other: it must be of vit$"):
        page_of(own, [record(made, network="other")])
    with pytest.raises(ReportError, match=r"it ran other programs than this file has"):
        page_of(own, [record(dense)])
    edge = record(made, config=CONFIG.replace(name="edge", accumulator_depth=512))
    with pytest.raises(ReportError, match=r"on the core the network was compiled for, tiny \(\w{16}\), not edge \(\w"):
        page_of(own, [edge])
    deeper = CONFIG.replace(name="deeper", profile_depth=1024)
    page = Page(page_of(own, [record(made, config=deeper)]))
    assert f"profile_depth 1,024 in place of {CONFIG.profile_depth}," in " ".join(page.text.split())


def test_baselines_of_something_else_are_refused(made: CompiledNetwork, dense: CompiledNetwork) -> None:
    own, run = subject(made), record(made)
    with pytest.raises(ReportError, match=r"^baseline of other: it must be a run of vit$"):
        page_of(own, [run], [record(dense, network="other")])
    with pytest.raises(ReportError, match=r"it must be on the same core, tiny \(\w{16}\), not wide \(\w{16}\)$"):
        page_of(own, [run], [record(dense, config=CONFIG.replace(name="wide", rows=16))])
    with pytest.raises(ReportError, match=r"its weights must all be int8, not ssvq$"):
        page_of(own, [run], [record(made)])
    for change in (
        *({"bytes_per_cycle": 2}, {"latency": 7}, {"config": CONFIG.replace(profile_depth=1024)}),
        {"backend": "device"},
    ):
        with pytest.raises(
            ReportError,
            match=r"no run is like it: one must be of backend \w+ and have \d bytes a cycle, latency \d+ and pro",
        ):
            page_of(own, [run], [record(dense, **change)])
    golden = PartRun(name="core 0", program=program_digest(dense.program))
    with pytest.raises(ReportError, match=r"it must have cycles: the reference has none$"):
        page_of(own, [run], [record(dense, backend="reference", parts=(golden,))])
