"""A profile in the Trace Event Format, which ui.perfetto.dev and Chrome's tracing page open.

https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ssvq_gen.format import Opcode

from .driver.profile import Profile, ProfileRow

LANES = ("load", "decode", "compute", "drain", "store")
"""Threads of the trace, from the top."""

_PROCESS = 1
_Span = tuple[str, int, int, ProfileRow]


def trace_json(profile: Profile, clock_mhz: float) -> dict[str, Any]:
    """A trace to be written as JSON: one process, a thread for each of `LANES`, and the array's use as a counter.

    Times are microseconds of a clock of `clock_mhz`, whole nanoseconds; the exact cycles are in each event's
    arguments. Where a descriptor's first sums come out before the last ones of another are written, it is shown from
    there on, since a thread's events must not overlap. Raises ValueError unless `clock_mhz` is positive.
    """
    if not clock_mhz > 0:
        raise ValueError(f"clock_mhz must be positive, not {clock_mhz}")

    def microseconds(cycle: int) -> float:
        return round(1000 * cycle / clock_mhz) / 1000

    events = [_metadata("process_name", 0, "ssvq_core")]
    for thread, lane in enumerate(LANES, start=1):
        events += [_metadata("thread_name", thread, lane), _metadata("thread_sort_index", thread, thread)]
    free = dict.fromkeys(LANES, 0)
    for lane, begin, end, row in sorted(_spans(profile), key=lambda span: span[1]):
        shown = max(begin, free[lane])
        free[lane] = max(end, shown)
        ts = microseconds(shown)
        events.append(
            {
                "ph": "X",
                "name": f"{row.opcode.name} {row.job or row.index}",
                "cat": lane,
                "pid": _PROCESS,
                "tid": 1 + LANES.index(lane),
                "ts": ts,
                "dur": round(microseconds(free[lane]) - ts, 3),
                "args": {"descriptor": row.index, "begin": begin, "end": end, "cycles": end - begin},
            }
        )
    events += [
        {"ph": "C", "name": "array", "pid": _PROCESS, "ts": microseconds(cycle), "args": {"percent": percent}}
        for cycle, percent in _array_use(profile)
    ]
    about = {"clock_mhz": clock_mhz, "total_cycles": profile.total, "descriptors_left_out": profile.left_out}
    return {"traceEvents": events, "displayTimeUnit": "ns", "otherData": about}


def _metadata(kind: str, thread: int, value: str | int) -> dict[str, Any]:
    argument = "sort_index" if kind.endswith("sort_index") else "name"
    return {"ph": "M", "name": kind, "pid": _PROCESS, "tid": thread, "args": {argument: value}}


def _spans(profile: Profile) -> Iterator[_Span]:
    """Lane, begin and end of everything that a descriptor did."""
    for row in profile.rows:
        if not row.is_matrix:
            yield "load" if row.opcode is Opcode.LOAD else "store", row.begin, row.end, row
            continue
        for lane, begin, end in (
            ("decode", row.begin, row.decoded),
            ("compute", row.compute_begin, row.compute_end),
            ("drain", row.drain_begin, row.end),
        ):
            if begin is not None and end is not None:
                yield lane, begin, end, row


def _array_use(profile: Profile) -> Iterator[tuple[int, float]]:
    """How much of the time the array was busy, from one descriptor's last activation to the next one's."""
    passed = 0
    for classes in (*(row.classes for row in profile.rows if row.is_matrix), profile.tail):
        cost = sum(classes.values())
        if cost:
            yield passed, round(100 * classes["ARRAY_CYCLES"] / cost, 1)
        passed += cost
    yield passed, 0.0
