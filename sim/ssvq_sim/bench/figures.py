"""The figures of the benchmark, the same bytes for the same points: SVG and PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .curves import PREFETCH, ROOFLINES, Curve
from .points import Point, speed_ups

ROOFLINE_FIGURE, SPEED_UP_FIGURE = "roofline", "speed-up"
"""Names of the files, without their suffixes."""

_STYLE = {
    "svg.hashsalt": "ssvq",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_DOTS_PER_INCH = 150
_RATE_COLOURS = {1: "#3b0f70", 2: "#b63679", 4: "#f1605d", 8: "#e0a030", 16: "#4c9f70", 32: "#2a788e", 64: "#777777"}
_FORMAT_MARKERS = {"int8": "s", "ssvq k=16": "o", "ssvq k=256": "^"}
_CONFIG_COLOURS = ("#2a788e", "#b63679", "#e0a030", "#3b0f70")
_GREY = "#888888"


def draw(points: Sequence[Point], curves: Sequence[Curve], folder: Path) -> list[Path]:
    """Write the figures for which there are points, and return their files."""
    with mpl.rc_context(_STYLE):
        written = []
        layers = [p for p in points if p.job in ("gemv", "layer")]
        if layers:
            written += _save(_roofline(layers), folder / ROOFLINE_FIGURE)
        if any(p.job == "deit-tiny" for p in points):
            written += _save(_speed_up(points, curves), folder / SPEED_UP_FIGURE)
        return written


def _save(figure: Figure, path: Path) -> list[Path]:
    svg, png = path.with_suffix(".svg"), path.with_suffix(".png")
    figure.savefig(svg, metadata={"Date": None, "Creator": None})
    figure.savefig(png, dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return [svg, png]


def _roofline(points: Sequence[Point]) -> Figure:
    """Useful MACs per cycle over useful MACs per byte of weight stream, of every product alone."""
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots()
    weighted = [p for p in points if p.stream_bytes]
    attention = [p for p in points if not p.stream_bytes]
    intensities = [p.macs / p.stream_bytes for p in weighted] or [1.0]
    low, high = min(intensities) / 2.5, max(intensities) * 3
    peak = max(p.macs / p.cycles / p.mac_utilisation for p in points)
    rates = sorted({p.bytes_per_cycle for p in points})
    edge = high / 1.5
    for rate in rates:
        x = np.array([low, peak / rate, high]) if peak / rate < high else np.array([low, high])
        axes.plot(x, np.minimum(rate * x, peak), color=_colour(rate), linewidth=1, zorder=1)
        axes.annotate(
            f"{rate} B/cycle",
            (low, rate * low),
            xytext=(4, 5),
            textcoords="offset points",
            color=_colour(rate),
            fontsize=9,
            rotation=_slope(axes, figure, low, high, peak),
            rotation_mode="anchor",
        )
    axes.annotate(
        f"array: {peak:.0f} MACs per cycle", (low, peak), xytext=(4, 4), textcoords="offset points", color=_GREY
    )
    axes.axhline(peak, color=_GREY, linewidth=1, zorder=1)
    for point in sorted(weighted, key=lambda p: -p.bytes_per_cycle):
        axes.plot(point.macs / point.stream_bytes, point.macs / point.cycles, **_marker(point))
    for point in attention:
        axes.plot(edge, point.macs / point.cycles, **{**_marker(point), "marker": "D"})
    axes.set(
        xscale="log",
        yscale="log",
        xlim=(low, high),
        ylim=(rates[0] * low, peak * 2),
        xlabel="arithmetic intensity: MACs per byte of weight stream",
        ylabel="MACs per cycle",
        title=f"Every product alone on {points[0].config}, memory latency {points[0].latency} cycles",
    )
    axes.grid(which="major", color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    entries = [
        Line2D([], [], linestyle="", marker=marker, color=_GREY, markeredgecolor="white", markersize=8, label=name)
        for name, marker in _FORMAT_MARKERS.items()
        if any(p.format_name == name for p in weighted)
    ]
    if attention:
        label = "attention: no weight stream, drawn at the edge"
        entries.append(Line2D([], [], linestyle="", marker="D", color=_GREY, markersize=7, label=label))
    axes.legend(handles=entries, loc="lower right", frameon=False)
    _label_groups(axes, weighted)
    return figure


def _label_groups(axes: Axes, points: Sequence[Point]) -> None:
    """Which products the columns of markers are: those of one format and one number of tokens."""
    lowest: dict[tuple[str, bool], Point] = {}
    for point in points:
        key = (point.format_name, point.macs / point.stream_bytes < 20)
        if key not in lowest or point.macs / point.cycles < lowest[key].macs / lowest[key].cycles:
            lowest[key] = point
    for (name, is_vector), point in lowest.items():
        what = "one token" if is_vector else "all tokens"
        axes.annotate(
            f"{name}\n{what}",
            (point.macs / point.stream_bytes, point.macs / point.cycles),
            xytext=(0, -10),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=8,
            color="#444444",
        )


def _slope(axes: Axes, figure: Figure, low: float, high: float, peak: float) -> float:
    """Angle of a line of slope one on the figure's logarithmic axes, in degrees."""
    width, height = figure.get_size_inches()
    decades = np.log10(high / low), np.log10(2 * peak / low)
    return float(np.degrees(np.arctan2(height / decades[1], width / decades[0])))


def _colour(rate: int) -> str:
    return _RATE_COLOURS[rate]


def _marker(point: Point) -> dict[str, object]:
    return {
        "marker": _FORMAT_MARKERS.get(point.format_name, "o"),
        "color": _colour(point.bytes_per_cycle),
        "markersize": 7,
        "markeredgecolor": "white",
        "markeredgewidth": 0.7,
        "linestyle": "",
        "zorder": 3,
    }


def _speed_up(points: Sequence[Point], curves: Sequence[Curve]) -> Figure:
    """Measured speed-ups of the whole network over the analytic curves."""
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots()
    entries = [entry for entry in speed_ups(points) if entry.point.job == "deit-tiny"]
    configs = list(dict.fromkeys([curve.config for curve in curves] + [e.point.config for e in entries]))
    colours = {name: _CONFIG_COLOURS[i % len(_CONFIG_COLOURS)] for i, name in enumerate(configs)}
    lines = {ROOFLINES: "--", PREFETCH: "-"}
    for curve in curves:
        style = lines[curve.kind]
        axes.plot(curve.bytes_per_cycle, curve.speed_up, style, color=colours[curve.config], linewidth=1.2, zorder=1)
    for entry in entries:
        point, colour = entry.point, colours[entry.point.config]
        steady = point.variant == "steady"
        axes.plot(
            point.bytes_per_cycle,
            entry.factor,
            marker="o" if steady else "s",
            markersize=8 if steady else 7,
            color=colour,
            markerfacecolor=colour if steady else "white",
            linestyle="",
            zorder=3,
        )
        if steady:
            axes.annotate(
                f"{entry.factor:.2f}x",
                (point.bytes_per_cycle, entry.factor),
                xytext=(8, 8),
                textcoords="offset points",
                color=colour,
            )
    legend = [Line2D([], [], color=colours[name], linewidth=5, label=name) for name in configs]
    legend += [
        Line2D([], [], color=_GREY, linestyle=lines[PREFETCH], label="bound, weights and LOAD prefetched"),
        Line2D([], [], color=_GREY, linestyle=lines[ROOFLINES], label="sum of the products' rooflines and LOAD"),
        Line2D([], [], color=_GREY, marker="o", markersize=8, linestyle="", label="measured, images in a row"),
        Line2D(
            *([], []), color=_GREY, marker="s", markerfacecolor="white", linestyle="", label="measured, a single image"
        ),
    ]
    rates = sorted({2.0**k for k in range(-1, 5)} | {float(e.point.bytes_per_cycle) for e in entries})
    axes.set(
        xscale="log",
        xticks=rates,
        xticklabels=[f"{rate:g}" for rate in rates],
        xlabel="bus bytes per cycle",
        ylabel="speed-up over int8 weights",
        ylim=(0, 6),
        title="All matrix products of DeiT-tiny: SSVQ with 1.5 bits a weight against int8, on the same core",
    )
    axes.minorticks_off()
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(handles=legend, loc="lower left", frameon=False)
    return figure
