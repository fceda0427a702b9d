"""The tables that the command prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from .checks import Verdict
from .points import Point, speed_ups


def _table(title: str, left: Sequence[str], right: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in left:
        table.add_column(name)
    for name in right:
        table.add_column(name, justify="right")
    return table


def _exact(points: Iterable[Point]) -> str:
    return "yes" if all(point.bit_exact for point in points) else "NO"


def product_table(points: Sequence[Point], title: str) -> Table:
    """Products alone: a line for each product and format, cycles and their ratio to the roofline at each bandwidth."""
    rates = sorted({point.bytes_per_cycle for point in points})
    table = _table(title, ("product", "format"), [*(f"{r} B/cycle" for r in rates), "bus", "MACs", "exact"])
    table.caption_justify = "left"
    table.caption = (
        "Cycles, and their ratio to the roofline. bus: bytes moved of those possible, at the lowest bandwidth. "
        "MACs: of those that ragged edges allow, at the highest."
    )
    rows = dict.fromkeys((point.layer, point.format_name) for point in points)
    for layer, name in rows:
        row = {p.bytes_per_cycle: p for p in points if (p.layer, p.format_name) == (layer, name)}
        cells = [f"{row[r].cycles} {row[r].ratio:.3f}" if r in row else "" for r in rates]
        slowest, fastest = row[min(row)], row[max(row)]
        table.add_row(
            layer,
            name,
            *cells,
            f"{slowest.bus_utilisation:.1%}",
            f"{fastest.mac_utilisation_of_possible:.1%}",
            _exact(row.values()),
        )
    return table


def network_table(points: Sequence[Point], title: str) -> Table:
    """The whole network: a line for each point."""
    columns = ("B/cycle", "cycles", "roofline", "ratio", "over int8", "bus", "MACs", "wait decode", "seconds", "exact")
    table = _table(title, ("core", "variant", "format"), columns)
    factors = {entry.point.name: entry.factor for entry in speed_ups(points)}
    for point in sorted(points, key=lambda p: (p.config, str(p.variant), p.bytes_per_cycle, p.format)):
        table.add_row(
            point.config,
            str(point.variant),
            point.format_name,
            str(point.bytes_per_cycle),
            str(point.cycles),
            str(point.roofline_cycles),
            f"{point.ratio:.3f}",
            f"{factors[point.name]:.2f}x" if point.name in factors else "",
            f"{point.bus_utilisation:.1%}",
            f"{point.mac_utilisation_of_possible:.1%}",
            str(point.wait_decode_cycles),
            f"{point.job_wall_seconds:.0f}",
            _exact([point]),
        )
    return table


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    """Each target with the worst figure, and where it is."""
    table = _table("Targets", ("", "target"), ("limit", "worst", "points"))
    table.add_column("where")
    for verdict in verdicts:
        target = verdict.target
        limit = "" if target.limit is None else f"{target.comparison} {target.limit:g}"
        if verdict.figure is None:
            table.add_row(Text("not run", style="dim"), target.name, limit, "", "0", "")
            continue
        state = Text("FAIL", style="bold red") if verdict.failed else Text("PASS", style="bold green")
        if target.limit is None:
            state = Text("info", style="dim")
        table.add_row(state, target.name, limit, f"{verdict.figure:.4g}", str(verdict.count), verdict.where)
    return table


def tables(points: Sequence[Point]) -> list[Table]:
    """Those of all jobs that were run."""
    shown = []
    for job, title in (("gemv", "Matrix-vector products (one token)"), ("layer", "Matrix products of DeiT-tiny alone")):
        for config, latency in dict.fromkeys((p.config, p.latency) for p in points if p.job == job):
            chosen = [p for p in points if (p.job, p.config, p.latency) == (job, config, latency)]
            shown.append(product_table(chosen, f"{title}, {config}, memory latency {latency} cycles"))
    networks = [p for p in points if p.job == "deit-tiny"]
    if networks:
        shown.append(network_table(networks, "All matrix products of DeiT-tiny as one job"))
    return shown
