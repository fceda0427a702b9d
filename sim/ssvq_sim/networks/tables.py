"""The results as tables."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from .run import NetworkRun, Times, speed_up

PARTS = ("array", "wait_weight", "vector", "load")
"""Where cycles went; the rest is together in one column."""
_LEFT = ("network", "core", "weights", "metric", "host")


def _table(title: str, heads: Sequence[str]) -> Table:
    result = Table(title=title)
    for head in heads:
        result.add_column(head, justify="left" if head in _LEFT else "right")
    return result


def cycle_table(runs: Sequence[NetworkRun]) -> Table:
    """Runs on the simulated core: cycles, how many times fewer than with int8 at the same rate, and what they are."""
    heads = ("network", "core", "weights", "B/cycle", "cycles", "over roofline", "over int8")
    result = _table("on the simulated core", (*heads, *(part.replace("_", " ") for part in PARTS), "other", "exact"))
    for run in runs:
        if run.cycles is None:
            continue
        faster = speed_up(runs, run)
        shares = [run.cycles_of.get(part, 0) / run.cycles for part in PARTS]
        result.add_row(
            *(run.network, run.config, run.weights, str(run.bytes_per_cycle), f"{run.cycles:,}"),
            *(f"{run.cycles / run.roofline_cycles:.2f}x", "" if faster is None else f"{faster:.2f}x"),
            *(f"{share:.1%}" for share in (*shares, 1 - sum(shares))),
            "yes" if run.bit_exact else "NO",
        )
    return result


def value_table(runs: Sequence[NetworkRun]) -> Table:
    """Runs on the golden model: the metrics."""
    heads = ("network", "weights", "metric", "samples", "value", "float", "host")
    result = _table("integer network against float", heads)
    for run in runs:
        if run.cycles is None:
            values = (f"{run.value:.4f}", f"{run.float_value:.4f}")
            host = ", ".join(run.host_operators) or "nothing"
            result.add_row(run.network, run.weights, run.metric, str(run.samples), *values, host)
    return result


def time_table(times: Sequence[Times]) -> Table:
    """Real seconds."""
    heads = ("network", "core", "weights", "codebooks", "compile", "golden model", "simulation")
    result = _table("seconds", heads)
    for own in times:
        seconds = (own.compress, own.compile, own.reference, own.simulation)
        result.add_row(own.network, own.config, own.weights, *(f"{each:.1f}" for each in seconds))
    return result
