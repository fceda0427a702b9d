"""Where a network's cycles go: Perfetto traces and tables, from the profiles that the core records."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from ssvq.driver import Profile
from ssvq.perfetto import trace_json
from ssvq_gen.profile import PROFILE_CLASSES

from ..job_files import write_json
from .measurement import Measurement

TRACE_CLOCK_MHZ = 1.0
"""A microsecond of the trace is a cycle."""
_TAIL = "after the last product"
_PRODUCT = re.compile(r"(?:block\d+\.)?(\w+)(?: \d+)?")
"""Name of a product's job: block, product, head."""


def write_traces(profiles: Sequence[tuple[Measurement, Profile]], folder: Path) -> list[Path]:
    """A trace for each profile, to be opened at ui.perfetto.dev."""
    written = []
    for measurement, profile in profiles:
        path = folder / f"trace-{_file_name(measurement)}.json"
        write_json(path, trace_json(profile, TRACE_CLOCK_MHZ))
        written.append(path)
    return written


def _file_name(measurement: Measurement) -> str:
    m = measurement
    kind = m.choice.format.value + (f"-k{m.choice.codebook_size}" if m.choice.codebook_size else "")
    parts = (m.config.name, m.variant, None if m.layer == "all" else m.layer, kind, f"{m.bytes_per_cycle}B")
    return "-".join(part for part in parts if part)


def cycles_by_product(profile: Profile) -> dict[str, dict[str, int]]:
    """Cycles by class of all descriptors of a product, over blocks and heads together; they add up to the total."""
    result: dict[str, dict[str, int]] = {}
    parts = [(row.job or "", row.classes) for row in profile.rows if row.is_matrix]
    for job, classes in [*parts, (_TAIL, profile.tail)]:
        match = _PRODUCT.fullmatch(job)
        sums = result.setdefault(match[1] if match else job, dict.fromkeys(PROFILE_CLASSES, 0))
        for name, cycles in classes.items():
            sums[name] += cycles
    return result


def breakdown_table(measurement: Measurement, profile: Profile) -> Table:
    """A line for each product, a column for each class of cycles that occurs."""
    products = cycles_by_product(profile)
    array, *waits = PROFILE_CLASSES
    shown = [name for name in waits if any(classes[name] for classes in products.values())]
    table = Table(title=f"Where the cycles go: {measurement.name}", title_justify="left")
    table.add_column("product")
    for title in ("cycles", "array", *(_title(name) for name in shown)):
        table.add_column(title, justify="right")
    everything = {name: sum(classes[name] for classes in products.values()) for name in PROFILE_CLASSES}
    for name, classes in [*products.items(), ("total", everything)]:
        total = sum(classes.values())
        busy = f"{classes[array] / total:.1%}" if total else ""
        table.add_row(name, str(total), busy, *(str(classes[wait] or "") for wait in shown))
    return table


def _title(name: str) -> str:
    return name.removesuffix("_CYCLES").replace("_", " ").lower()
