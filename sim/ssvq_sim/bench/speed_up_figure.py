"""Speed-up of the whole network over int8: measured points over the analytic curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .curves import PREFETCH, ROOFLINES, Curve
from .points import Point, speed_ups

_CONFIG_COLOURS = ("#2a788e", "#b63679", "#e0a030", "#3b0f70")
_GREY = "#888888"
_LINES: dict[str, Any] = {ROOFLINES: "--", PREFETCH: "-"}
_WEIGHT_BITS_RATIO = 8 / 1.5


def speed_up_figure(points: Sequence[Point], curves: Sequence[Curve]) -> Figure:
    """Points of the job deit-tiny on any cores, and the curves of these cores."""
    figure = Figure(figsize=(9, 6.6), layout="constrained")
    axes = figure.subplots()
    entries = [entry for entry in speed_ups(points) if entry.point.job == "deit-tiny"]
    configs = list(dict.fromkeys([curve.config for curve in curves] + [e.point.config for e in entries]))
    colours = {name: _CONFIG_COLOURS[i % len(_CONFIG_COLOURS)] for i, name in enumerate(configs)}
    for curve in curves:
        style = _LINES[curve.kind]
        axes.plot(curve.bytes_per_cycle, curve.speed_up, style, color=colours[curve.config], linewidth=1.2, zorder=1)
    axes.axhline(_WEIGHT_BITS_RATIO, color=_GREY, linewidth=1, linestyle=":", zorder=1)
    for entry in entries:
        point, colour = entry.point, colours[entry.point.config]
        axes.plot(point.bytes_per_cycle, entry.factor, color=colour, **_marker(str(point.variant), colour))
        if point.variant == "steady":
            place = point.bytes_per_cycle, entry.factor
            axes.annotate(f"{entry.factor:.2f}x", place, xytext=(8, 8), textcoords="offset points", color=colour)
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
    figure.legend(handles=_legend(colours), loc="outside lower center", ncols=2, frameon=False)
    return figure


def _marker(variant: str, colour: str) -> dict[str, Any]:
    is_steady = variant == "steady"
    return {
        "marker": "o" if is_steady else "s",
        "markersize": 8 if is_steady else 7,
        "markerfacecolor": colour if is_steady else "white",
        "linestyle": "",
        "zorder": 4 if is_steady else 3,
    }


def _legend(colours: dict[str, str]) -> list[Line2D]:
    lines = {
        PREFETCH: "bound, weights and LOAD prefetched",
        ROOFLINES: "sum of the products' rooflines and LOAD",
    }
    markers = {"steady": "measured, images in a row", "latency": "measured, a single image"}
    return [
        *(Line2D([], [], color=colour, linewidth=5, label=name) for name, colour in colours.items()),
        *(Line2D([], [], color=_GREY, linestyle=_LINES[kind], label=label) for kind, label in lines.items()),
        Line2D([], [], color=_GREY, linestyle=":", label="ratio of the weights' bits"),
        *(Line2D([], [], color=_GREY, label=label, **_marker(kind, _GREY)) for kind, label in markers.items()),
    ]
