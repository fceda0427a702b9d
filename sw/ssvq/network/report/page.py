"""The page: its content through a template."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup

from ssvq.network.report.content import Content, content_of, scopes
from ssvq.network.report.run_record import RunRecord
from ssvq.network.report.subject import Subject, require_baseline

TEMPLATE = "page.html"
NOTHING = "\N{EN DASH}"
"""Stands where there is no number."""


def report_content(
    subject: Subject,
    runs: Sequence[RunRecord] = (),
    baselines: Sequence[RunRecord] = (),
    *,
    commands: Sequence[str] = (),
) -> Content:
    """What a page says.

    Args:
        subject: the compiled network.
        runs: of it; layers and classes are those of the first with profiles.
        baselines: runs of the same network with int8 weights, each for the runs with the same bus.
        commands: that make the page, for its reader; those of the runs are known.

    Raises:
        ReportError: a run or baseline is of something else, or does not add up.
    """
    for run in runs:
        subject.require(run)
    for baseline in baselines:
        require_baseline(subject, runs, baseline)
    return content_of(subject, runs, baselines, commands)


def report_page(content: Content) -> str:
    """HTML that needs nothing else: no network, no script. The same content gives the same text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"count": count, "share": share, "number": number, "svg": Markup, "scopes": scopes}
    return environment.get_template(TEMPLATE).render(page=content)


def count(value: float | None) -> str:
    """A whole number with separators."""
    return NOTHING if value is None else f"{round(value):,}"


def share(value: float | None) -> str:
    """A part of 1 in percent."""
    return NOTHING if value is None else f"{value:.1%}"


def number(value: float | None, digits: int = 2) -> str:
    """A number with that many digits after the point."""
    return NOTHING if value is None else f"{value:,.{digits}f}"
