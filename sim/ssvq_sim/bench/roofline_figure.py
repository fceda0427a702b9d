"""The roofline, and every product that was measured alone on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .points import Point

_RATE_COLOURS = {1: "#3b0f70", 2: "#b63679", 4: "#f1605d", 8: "#e0a030", 16: "#4c9f70", 32: "#2a788e", 64: "#777777"}
_FORMAT_MARKERS = {"int8": "s", "ssvq k=16": "o", "ssvq k=256": "^"}
_ATTENTION_MARKER = "D"
_GREY = "#888888"
_SIZE = (9, 6)
_VECTOR_INTENSITY = 20
"""Below this many MACs a byte, a product is one with a single token."""


def roofline_figure(points: Sequence[Point]) -> Figure:
    """Useful MACs per cycle over useful MACs per byte of weight stream; points of one core."""
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.subplots()
    weighted = [p for p in points if p.stream_bytes]
    attention = [p for p in points if not p.stream_bytes]
    intensities = [_intensity(p) for p in weighted] or [1.0]
    low, high = min(intensities) / 2.5, max(intensities) * 3
    peak = points[0].array_macs
    rates = sorted({p.bytes_per_cycle for p in points})
    bottom = rates[0] * low
    slope = _slope(np.log10(high / low), np.log10(2 * peak / bottom))
    for rate in rates:
        _ceiling(axes, rate, low, high, peak, slope)
    axes.axhline(peak, color=_GREY, linewidth=1, zorder=1)
    _note(axes, f"array: {peak} MACs per cycle", low, peak, (4, 4), color=_GREY)
    for point in sorted(weighted, key=lambda p: -p.bytes_per_cycle):
        axes.plot(_intensity(point), _performance(point), **_marker(point))
    for point in attention:
        axes.plot(high / 1.5, _performance(point), **{**_marker(point), "marker": _ATTENTION_MARKER})
    axes.set(
        xscale="log",
        yscale="log",
        xlim=(low, high),
        ylim=(bottom, peak * 2),
        xlabel="arithmetic intensity: MACs per byte of weight stream",
        ylabel="MACs per cycle",
        title=f"Every product alone on {points[0].config}",
    )
    axes.grid(which="major", color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(handles=_legend(weighted, bool(attention)), loc="lower right", frameon=False)
    _label_groups(axes, weighted)
    return figure


def _intensity(point: Point) -> float:
    return point.macs / point.stream_bytes


def _performance(point: Point) -> float:
    return point.macs / point.cycles


def _slope(decades_wide: float, decades_high: float) -> float:
    """About the angle of a line of slope one on the figure's logarithmic axes, in degrees."""
    width, height = _SIZE
    return float(np.degrees(np.arctan2(height / decades_high, width / decades_wide)))


def _ceiling(axes: Axes, rate: int, low: float, high: float, peak: float, slope: float) -> None:
    x = np.array([low, min(peak / rate, high), high])
    axes.plot(x, np.minimum(rate * x, peak), color=_RATE_COLOURS[rate], linewidth=1, zorder=1)
    text = f"{rate} B/cycle"
    _note(axes, text, low, rate * low, (4, 5), color=_RATE_COLOURS[rate], rotation=slope, rotation_mode="anchor")


def _note(axes: Axes, text: str, x: float, y: float, offset: tuple[float, float], **style: Any) -> None:
    axes.annotate(text, (x, y), xytext=offset, textcoords="offset points", fontsize=9, **style)


def _marker(point: Point) -> dict[str, Any]:
    return {
        "marker": _FORMAT_MARKERS[point.format_name],
        "color": _RATE_COLOURS[point.bytes_per_cycle],
        "markersize": 7,
        "markeredgecolor": "white",
        "markeredgewidth": 0.7,
        "linestyle": "",
        "zorder": 3,
    }


def _legend(weighted: Sequence[Point], has_attention: bool) -> list[Line2D]:
    shown = {p.format_name for p in weighted}
    labels = {name: marker for name, marker in _FORMAT_MARKERS.items() if name in shown}
    if has_attention:
        labels["attention: no weight stream, drawn at the edge"] = _ATTENTION_MARKER
    return [
        Line2D([], [], linestyle="", marker=marker, color=_GREY, markersize=7, label=label)
        for label, marker in labels.items()
    ]


def _label_groups(axes: Axes, points: Sequence[Point]) -> None:
    """Which products the columns of markers are: those of int8 or SSVQ with one or with all tokens."""
    lowest: dict[tuple[str, str], Point] = {}
    for point in points:
        key = point.format, "one token" if _intensity(point) < _VECTOR_INTENSITY else "all tokens"
        if key not in lowest or _performance(point) < _performance(lowest[key]):
            lowest[key] = point
    for key, point in lowest.items():
        place = _intensity(point), _performance(point)
        _note(axes, "\n".join(key), *place, (0, -10), ha="center", va="top", color="#444444")
