"""What came out of syntheses: faults, tables and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table

from ..config import CoreConfig
from ..files import write_whole
from .blocks import Block
from .memories import MEMORY_LIMIT_BITS, Memory
from .targets import TARGETS

ARRAY_PART = "array"
REQUANTIZER_PART = "requantizer"
VECTOR_PART = "vector"
"""The vector unit, whose DSP blocks are shown: how many its multipliers take differs from family to family."""

SMALL_BLOCK_SHARE = 0.01
"""A block with less of the core's LUTs than this, no DSP and no block RAM has no line of its own in the table."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What came out of one synthesis; the first block is the whole core."""

    target: str
    seconds: float
    blocks: tuple[Block, ...]
    dsps: dict[str, int]
    dsps_expected: dict[str, int]
    memories: tuple[Memory, ...]
    flipflop_memories: tuple[Memory, ...]
    latches: tuple[str, ...]

    @property
    def resources(self) -> Mapping[str, int]:
        """Those of the whole core."""
        return self.blocks[0].resources

    @property
    def faults(self) -> list[str]:
        """One sentence for everything that a core may not have."""
        faults = [f"latch: {name}" for name in self.latches]
        if self.resources["latch"]:
            faults.append(f"{self.resources['latch']} latch cells after mapping")
        faults += [
            f"memory {m.name} of {m.words} x {m.width} bits ended in flip-flops"
            for m in self.flipflop_memories
            if m.bits >= MEMORY_LIMIT_BITS
        ]
        if not self.dsps_expected:
            return faults
        return faults + [
            f"{self.dsps.get(part, 0)} DSP blocks in the {part} instead of {self.dsps_expected.get(part, 0)}"
            for part in {**self.dsps_expected, **self.dsps}
            if part != VECTOR_PART and self.dsps.get(part, 0) != self.dsps_expected.get(part, 0)
        ]


def report_table(config: CoreConfig, reports: Sequence[Report]) -> Table:
    """Resources of the whole core, a line for each target."""
    title = f"synthesis of {config.name} ({config.rows} x {config.cols} MAC), whole core"
    table = Table(title=title, title_justify="left")
    for head in ("target", "LUT", "of it RAM", "FF", "DSP", "found/meant", "block RAM", "LUT per MAC", "seconds"):
        table.add_column(head, justify="left" if head == "target" else "right")
    for report in reports:
        r = report.resources
        parts = ", ".join(
            f"{part} {n}" + (f"/{report.dsps_expected.get(part, 0)}" if report.dsps_expected else "")
            for part, n in report.dsps.items()
        )
        counts = [r["lut"], r["lut_ram"], r["ff"], r["dsp"], parts, r["block_ram"]]
        per_mac = f"{r['lut'] / (config.rows * config.cols):.1f}"
        table.add_row(TARGETS[report.target].title, *map(str, counts), per_mac, str(report.seconds))
    return table


def blocks_table(config: CoreConfig, report: Report, *, every: bool = False) -> Table:
    """Resources by block, parts indented under what they are in; small ones only with `every`."""
    target = TARGETS[report.target]
    table = Table(title=f"{config.name} on {target.title} by block", title_justify="left")
    heads = ("block", "LUT", "share", "of it RAM", "FF", f"DSP ({target.dsp_unit})", f"RAM ({target.block_ram_unit})")
    for head in heads:
        table.add_column(head, justify="left" if head == "block" else "right")
    for block in report.blocks:
        r = block.resources
        share = r["lut"] / max(report.resources["lut"], 1)
        if every or share >= SMALL_BLOCK_SHARE or r["dsp"] or r["block_ram"]:
            name = "  " * block.depth + (block.path.rpartition(".")[2] or "core")
            counts = (r["lut_ram"], r["ff"], r["dsp"], r["block_ram"])
            table.add_row(name, str(r["lut"]), f"{share:.1%}", *map(str, counts))
    return table


def shortages(config: CoreConfig, reports: Sequence[Report]) -> list[str]:
    """A sentence for every chip of `make pnr` that the core does not fit: not a fault, but good to know."""
    devices = [(report, device) for report in reports if (device := TARGETS[report.target].device)]
    return [
        f"{config.name} does not fit {device.title}: {', '.join(lacks)}"
        for report, device in devices
        if (lacks := device.shortages(report.resources))
    ]


def write_reports(config: CoreConfig, reports: Sequence[Report], path: Path) -> None:
    """Write synth.json."""
    data = {
        "config": config.name,
        "digest": f"{config.digest:016x}",
        "macs": config.rows * config.cols,
        "targets": [{**asdict(r), "resources": r.resources, "faults": r.faults} for r in reports],
    }
    write_whole(path, json.dumps(data, indent=2) + "\n")
