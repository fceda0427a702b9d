"""A program's jobs: what their descriptors do, and what they move."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.table import Table

from ssvq.program import Job, Program
from ssvq_gen.format import STREAM_OPCODES, Opcode


def job_summary(program: Program, job: Job) -> dict[str, Any]:
    """One job: descriptors by opcode, bytes of weight streams, and bytes of LOAD and STORE."""
    last = job.first_descriptor + job.descriptor_count
    found = [program.descriptor(index) for index in range(job.first_descriptor, last)]
    opcodes = Counter(Opcode(fields["opcode"]).name for fields in found)
    weights = sum(fields["dram_bytes"] for fields in found if fields["opcode"] in STREAM_OPCODES)
    moved = sum(fields["dram_bytes"] for fields in found if fields["opcode"] in (Opcode.LOAD, Opcode.STORE))
    return {
        "name": job.name,
        "first_descriptor": job.first_descriptor,
        "descriptors": dict(sorted(opcodes.items())),
        "weight_bytes": weights,
        "moved_bytes": moved,
    }


def program_summary(program: Program) -> dict[str, Any]:
    """The program and its jobs as plain data."""
    return {
        "config_digest": f"{program.config_digest:016x}",
        "word_bytes": program.word_bytes,
        "image_bytes": program.image.size,
        "memory_bytes": program.memory_bytes,
        "descriptor_count": program.descriptor_count,
        "jobs": [job_summary(program, job) for job in program.jobs],
    }


def program_table(program: Program, name: str = "program") -> Table:
    """A row for each job."""
    jobs = [job_summary(program, job) for job in program.jobs]
    title = f"{name}: {program.image.size:,} bytes, for the core {program.config_digest:016x}"
    table = Table(title=title, show_footer=True)
    table.add_column("job", footer=f"{len(jobs)} jobs", overflow="fold")
    table.add_column("first", justify="right")
    table.add_column("descriptors", footer=f"{program.descriptor_count:,}")
    for head, key in (("weight bytes", "weight_bytes"), ("bytes moved", "moved_bytes")):
        table.add_column(head, footer=f"{sum(job[key] for job in jobs):,}", justify="right")
    for job in jobs:
        kinds = ", ".join(f"{count} {opcode}" if count > 1 else opcode for opcode, count in job["descriptors"].items())
        sizes = (f"{job[key]:,}" if job[key] else "" for key in ("weight_bytes", "moved_bytes"))
        table.add_row(job["name"], str(job["first_descriptor"]), kinds, *sizes)
    return table
