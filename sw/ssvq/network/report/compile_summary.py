"""What a compiled model is and takes: the same figures for tables and JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from rich.table import Table

from ssvq.network.files.network_file import CompiledModel
from ssvq.network.hosting.partitioned_network import CorePart, HostPart
from ssvq.network.report.layer_summary import total_bits_per_weight
from ssvq.roofline import roofline_cycles
from ssvq_gen.config import CoreConfig


@dataclass(frozen=True, kw_only=True)
class PartSummary:
    """A part of a network; those of the host have a name and a number of operations only.

    Attributes:
        name: of the part.
        where: `core` or `host`.
        steps: of its program, or operators on the host.
        descriptors: of its program.
        program_bytes: of its image: descriptors, weights and constants.
        dram_bytes: with inputs and outputs.
        memory_words, memory_depth: of the activation memory that are in use at some time, and that there are.
        roofline_cycles: least cycles of its arithmetic and bytes, without vector operations.
    """

    name: str
    where: str
    steps: int
    descriptors: int = 0
    program_bytes: int = 0
    dram_bytes: int = 0
    memory_words: int = 0
    memory_depth: int = 0
    roofline_cycles: float = 0.0


def part_summary(part: CorePart | HostPart, config: CoreConfig, bytes_per_cycle: float) -> PartSummary:
    """Of one part, for a bus that moves so many bytes (at most a beat)."""
    if isinstance(part, HostPart):
        return PartSummary(name=part.name, where="host", steps=len(part.graph.nodes))
    made = part.compiled
    return PartSummary(
        name=part.name,
        where="core",
        steps=len(made.network.steps),
        descriptors=made.program.descriptor_count,
        program_bytes=made.program.image.size,
        dram_bytes=made.program.memory_bytes,
        memory_words=made.plan.words,
        memory_depth=made.plan.depth,
        roofline_cycles=roofline_cycles(config, made.program, bytes_per_cycle),
    )


def model_summary(model: CompiledModel, bytes_per_cycle: float) -> dict[str, object]:
    """All of it as plain data."""
    work = model.work
    return {
        "model": model.name,
        "config": model.config.name,
        "bytes_per_cycle": bytes_per_cycle,
        "parts": [asdict(part_summary(part, model.config, bytes_per_cycle)) for part in model.network.parts],
        "macs": work.macs,
        "host_mac_share": work.host_share,
        "host_operators": [
            {
                "name": node.name,
                "operation": node.operation,
                "reason": node.host_reason,
                "macs": node.macs,
                "bytes_to_host": node.bytes_in,
                "bytes_from_host": node.bytes_out,
            }
            for node in work.on_host
        ],
        "bits_per_weight": total_bits_per_weight(model.layers),
        "layers": [asdict(layer) | {"bits_per_weight": layer.bits_per_weight} for layer in model.layers],
    }


def parts_table(model: CompiledModel, bytes_per_cycle: float) -> Table:
    """A row for each part, with its program's size, its memory and the least cycles that it takes."""
    rows = [part_summary(part, model.config, bytes_per_cycle) for part in model.network.parts]
    cycles = sum(row.roofline_cycles for row in rows)
    table = Table(title=f"{model.name} on {model.config.name}", show_footer=True)
    table.add_column("part")
    for head, total in (
        ("steps", ""),
        ("descriptors", f"{sum(row.descriptors for row in rows):,}"),
        ("program bytes", f"{sum(row.program_bytes for row in rows):,}"),
        ("activation memory", ""),
        (f"least cycles at {bytes_per_cycle:g} B, vector unit apart", f"{cycles:,.0f}"),
    ):
        table.add_column(head, footer=total, justify="right")
    for row in rows:
        if row.where == "host":
            table.add_row(row.name, f"{row.steps:,}")
            continue
        used = f"{row.memory_words:,} of {row.memory_depth:,} words ({row.memory_words / row.memory_depth:.0%})"
        counts = (f"{row.steps:,}", f"{row.descriptors:,}", f"{row.program_bytes:,}")
        table.add_row(row.name, *counts, used, f"{row.roofline_cycles:,.0f}")
    return table


def plan_table(part: CorePart, word_bytes: int) -> Table:
    """Where everything of a part is in the activation memory, from which step to which."""
    made = part.compiled
    table = Table(title=f"activation memory of {part.name}, words of {word_bytes} bytes")
    table.add_column("what", overflow="fold")
    for head in ("first word", "words", "from", "to"):
        table.add_column(head, justify="right")
    table.add_column("until after", overflow="fold")
    steps = made.network.steps
    for own in sorted(made.plan.lifetimes, key=lambda one: (one.first, made.plan.places[one.name])):
        last = steps[own.last].name if own.last < len(steps) else "the end"
        table.add_row(own.name, *(f"{n:,}" for n in (made.plan.places[own.name], own.words, own.first, own.last)), last)
    return table
