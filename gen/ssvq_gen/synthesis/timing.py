"""nextpnr's report: frequency, and the critical path in the names of our signals."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..toolbox import ToolError
from .blocks import plain_path
from .harness import CLOCK, CORE

_MAPPED = re.compile(
    r"(_[A-Z]+\d*)?_(TRELLIS_\w+?|LUT\d|PFUMX|L6MUX21|CCU2C|MULT\d+X\d+D?|DP16KD|PDPW16KD|SB_\w+?|ALU|DFF[A-Z]*"
    r"|MUX2_LUT\d|RAM16\w+?|SDP\w*?|DPB)(_.*)?$"
)
"""What mapping adds to the name of the signal that a cell drives: ports and types of cells."""


@dataclass(frozen=True, kw_only=True)
class Hop:
    """A step of a path: through a signal's logic, and along a wire to the next."""

    signal: str
    logic_ns: float
    routing_ns: float


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One run of nextpnr.

    `path` is the critical path from flip-flop to flip-flop, `used` what the chip's resources are taken of: kind to
    (used, available).
    """

    fmax_mhz: float
    path: tuple[Hop, ...]
    used: Mapping[str, tuple[int, int]]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def signal_name(cell: str) -> str:
    """The signal that a cell of the netlist drives: its name without the core's, and without what was added.

    `core.matmul$425.feeder.walk.addr_TRELLIS_FF_Q_3` is `matmul.feeder.walk.addr`.
    """
    path, dot, name = plain_path(cell).removeprefix(f"{CORE}.").rpartition(".")
    return path + dot + (_MAPPED.sub("", name) or name)


def parse_timing(report: Mapping[str, Any]) -> Timing:
    """What nextpnr's JSON report says of the harness's clock. Raises ToolError when it says nothing of it."""
    clocks = [name for name in report.get("fmax", {}) if CLOCK in name]
    if len(clocks) != 1:
        raise ToolError(f"nextpnr's report has {len(clocks)} clocks named {CLOCK}, not one")
    paths = [p["path"] for p in report["critical_paths"] if CLOCK in p["from"] and CLOCK in p["to"]]
    return Timing(
        fmax_mhz=round(report["fmax"][clocks[0]]["achieved"], 2),
        path=_hops(paths[0]) if paths else (),
        used={kind: (n["used"], n["available"]) for kind, n in sorted(report["utilization"].items()) if n["used"]},
    )


def _hops(steps: Sequence[Mapping[str, Any]]) -> tuple[Hop, ...]:
    """Steps of a path, those within one signal's logic as one."""
    hops: list[Hop] = []
    for step in steps:
        begins = signal_name(step["from"]["cell"])
        if not hops or hops[-1].signal != begins:
            hops.append(Hop(signal=begins, logic_ns=0.0, routing_ns=0.0))
        last = hops[-1]
        routing = step["type"] == "routing"
        hops[-1] = Hop(
            signal=last.signal,
            logic_ns=round(last.logic_ns + (0.0 if routing else step["delay"]), 3),
            routing_ns=round(last.routing_ns + (step["delay"] if routing else 0.0), 3),
        )
        ends = signal_name(step["to"]["cell"])
        if ends != begins:
            hops.append(Hop(signal=ends, logic_ns=0.0, routing_ns=0.0))
    return tuple(hops)
