"""The figures of the benchmark, the same bytes for the same points: SVG and PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from .curves import Curve
from .points import IDEAL_LATENCY, Point
from .roofline_figure import roofline_figure
from .speed_up_figure import speed_up_figure

ROOFLINE_FIGURE, SPEED_UP_FIGURE = "roofline", "speed-up"
"""Names of the files, without their suffixes."""

_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "ssvq",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_DOTS_PER_INCH = 150


def draw(points: Sequence[Point], curves: Sequence[Curve], folder: Path) -> list[Path]:
    """Write the figures for which there are points, and return their files."""
    with mpl.rc_context(_STYLE):
        written = []
        if layers := [p for p in points if p.job == "gemv" or (p.job == "layer" and p.latency == IDEAL_LATENCY)]:
            written += _save(roofline_figure(layers), folder / ROOFLINE_FIGURE)
        if any(p.job == "deit-tiny" for p in points):
            written += _save(speed_up_figure(points, curves), folder / SPEED_UP_FIGURE)
        return written


def _save(figure: Figure, path: Path) -> list[Path]:
    svg, png = path.with_suffix(".svg"), path.with_suffix(".png")
    figure.savefig(svg, metadata={"Date": None, "Creator": None})
    figure.savefig(png, dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return [svg, png]
