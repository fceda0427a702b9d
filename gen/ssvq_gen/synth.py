"""Synthesis of a core with Yosys: resources for an FPGA family, and the faults that no core may have.

`python -m ssvq_gen.synth CONFIG --target xc7|ecp5|all` writes `<output>/<configuration name>/synth.json`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .config import PRESETS, ConfigError, CoreConfig
from .generate import generate
from .toolbox import ToolError, run_yosys
from .verilog import TOP

MEMORY_LIMIT_BITS = 1024
"""A memory of at least this many bits has to end in RAM cells."""

REQUANTIZER_DSPS_PER_LANE = 2
"""A lane multiplies a signed 32-bit sum by a 12-bit mantissa: two DSP blocks on either family."""

CHECK_SCRIPT = f"hierarchy -check -top {TOP}; proc; flatten; opt_clean; check -assert"
"""Fails for several drivers of a net and for combinational loops, in the whole design."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """An FPGA family: how Yosys maps to it, and its cells (regular expressions) by kind of resource."""

    name: str
    title: str
    command: str
    memory_label: str
    flipflop_label: str
    dsp_cells: tuple[str, ...]
    cells: Mapping[str, str]


TARGETS: dict[str, Target] = {
    t.name: t
    for t in (
        Target(
            name="xc7",
            title="Xilinx 7",
            command=f"synth_xilinx -family xc7 -flatten -noiopad -noclkbuf -top {TOP}",
            memory_label="map_memory",
            flipflop_label="map_ffram",
            dsp_cells=("DSP48E1",),
            cells={
                "lut": r"LUT[1-6]",
                "carry": r"CARRY4",
                "ff": r"FD[RSPC]E(_1)?",
                "dsp": r"DSP48E1",
                "bram": r"RAMB(18|36)E1",
                "lutram": r"RAM\d+(M|X\d+[DS])\w*",
                "shift": r"SRL\w+",
                "latch": r"LD[CP]E\w*|\$_?DLATCH\w*",
            },
        ),
        Target(
            name="ecp5",
            title="ECP5",
            command=f"synth_lattice -family ecp5 -latches warn -top {TOP}",
            memory_label="map_ram",
            flipflop_label="map_ffram",
            dsp_cells=("MULT18X18D",),
            cells={
                "lut": r"LUT4",
                "carry": r"CCU2C",
                "ff": r"TRELLIS_FF",
                "dsp": r"MULT18X18D",
                "bram": r"DP16KD|PDPW16KD",
                "lutram": r"TRELLIS_DPR16X4",
                "shift": r"\b\B",
                "latch": r"\$_?DLATCH\w*",
            },
        ),
    )
}


@dataclass(frozen=True, kw_only=True)
class Memory:
    """A memory as Yosys sees it before or after mapping to RAM cells."""

    name: str
    words: int
    width: int

    @property
    def bits(self) -> int:
        """Size."""
        return self.words * self.width


@dataclass(frozen=True, kw_only=True)
class Report:
    """What came out of one synthesis."""

    target: str
    seconds: float
    resources: dict[str, int]
    dsps: dict[str, int]
    dsps_expected: dict[str, int]
    memories: tuple[Memory, ...]
    flipflop_memories: tuple[Memory, ...]
    latches: tuple[str, ...]

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
        return faults + [
            f"{self.dsps.get(part, 0)} DSP blocks in the {part} instead of {self.dsps_expected.get(part, 0)}"
            for part in {**self.dsps_expected, **self.dsps}
            if part != VECTOR_PART and self.dsps.get(part, 0) != self.dsps_expected.get(part, 0)
        ]


VECTOR_PART = "vector"
"""The vector unit, whose DSP blocks are shown: how many its multipliers take differs from family to family."""


def expected_dsps(config: CoreConfig) -> dict[str, int]:
    """DSP blocks that a core is meant to take: one per MAC, and the requantizer's multipliers."""
    return {"array": config.rows * config.cols, "requantizer": REQUANTIZER_DSPS_PER_LANE * config.requantize_lanes}


def synthesis_script(target: Target, verilog: str) -> str:
    """The Yosys script; it leaves latches.txt, memories.txt, left.txt, dsps.txt and stat.json in its folder."""

    def run(begin: str, end: str) -> str:
        return f"{target.command} -run {begin}:{end}"

    return "; ".join(
        [
            f"read_verilog {verilog}",
            "design -save raw",
            CHECK_SCRIPT,
            "tee -q -o latches.txt select -list t:$dlatch t:$adlatch t:$dlatchsr",
            "design -load raw",
            run("", target.memory_label),
            "tee -q -o memories.txt dump t:$mem_v2",
            run(target.memory_label, target.flipflop_label),
            # What memory_libmap did not turn into RAM cells is what memory_map makes flip-flops of.
            "tee -q -o left.txt dump t:$mem_v2",
            run(target.flipflop_label, "check"),
            f"hierarchy -check -top {TOP}",
            "check -assert -noinit",
            "tee -q -o dsps.txt select -list " + " ".join(f"t:{cell}" for cell in target.dsp_cells),
            f"tee -q -o stat.json stat -json -top {TOP}",
        ]
    )


def parse_memories(dump: str) -> tuple[Memory, ...]:
    """Memories in the output of Yosys's `dump t:$mem_v2`."""
    memories = []
    for cell in re.split(r"^\s*cell \$mem_v2 ", dump, flags=re.MULTILINE)[1:]:
        name = cell.split(maxsplit=1)[0].removeprefix("\\")
        values = {
            key: re.search(rf"parameter (?:signed )?\\{key} (\d+)$", cell, re.MULTILINE) for key in ("SIZE", "WIDTH")
        }
        size, width = values["SIZE"], values["WIDTH"]
        if size is None or width is None:
            raise ToolError(f"Yosys's dump of memory {name} names no size or width")
        memories.append(Memory(name=name, words=int(size[1]), width=int(width[1])))
    return tuple(sorted(memories, key=lambda m: m.name))


def count_dsps(names: Sequence[str]) -> dict[str, int]:
    """DSP blocks by the part of the core that their instance path names: array, requantizer, vector or elsewhere."""
    counts = {"array": 0, "requantizer": 0}
    for name in names:
        path = re.split(r"[./\\]", name)
        parts = ("array", "requantizer", VECTOR_PART)
        part = next((part for part in parts if any(step.startswith(part) for step in path)), "rest of the core")
        counts[part] = counts.get(part, 0) + 1
    return counts


def count_resources(target: Target, cells: Mapping[str, int]) -> dict[str, int]:
    """Cells by kind of resource."""
    return {
        kind: sum(count for cell, count in cells.items() if re.fullmatch(pattern, cell.removeprefix("\\")))
        for kind, pattern in target.cells.items()
    }


def synthesize(config: CoreConfig, target: Target, verilog: Path) -> Report:
    """Map a Verilog file to a family. Raises ToolError when Yosys fails, multiple drivers and loops included."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=".synth-", dir=verilog.parent) as name:
        folder = Path(name)
        run_yosys(synthesis_script(target, f"../{verilog.name}"), cwd=folder)
        stat = json.loads((folder / "stat.json").read_text(encoding="utf-8"))
        cells = stat["design"]["num_cells_by_type"]
        return Report(
            target=target.name,
            seconds=round(time.monotonic() - begin, 1),
            resources=count_resources(target, cells),
            dsps=count_dsps((folder / "dsps.txt").read_text(encoding="utf-8").split()),
            dsps_expected=expected_dsps(config),
            memories=parse_memories((folder / "memories.txt").read_text(encoding="utf-8")),
            flipflop_memories=parse_memories((folder / "left.txt").read_text(encoding="utf-8")),
            latches=tuple((folder / "latches.txt").read_text(encoding="utf-8").split()),
        )


def report_table(config: CoreConfig, reports: Sequence[Report]) -> Table:
    """Resources, a line for each target."""
    table = Table(title=f"synthesis of {config.name} ({config.rows} x {config.cols} MAC)", title_justify="left")
    heads = ("target", "LUT", "carry", "FF", "DSP", "DSP found/meant", "block RAM", "LUT RAM", "shift", "seconds")
    for head in heads:
        table.add_column(head, justify="left" if head == "target" else "right")
    for report in reports:
        r = report.resources
        parts = ", ".join(f"{part} {n}/{report.dsps_expected.get(part, 0)}" for part, n in report.dsps.items())
        counts = [r["lut"], r["carry"], r["ff"], r["dsp"], parts, r["bram"], r["lutram"], r["shift"], report.seconds]
        table.add_row(TARGETS[report.target].title, *map(str, counts))
    return table


def write_reports(config: CoreConfig, reports: Sequence[Report], path: Path) -> None:
    """Write synth.json."""
    data = {"config": config.name, "targets": [{**asdict(r), "faults": r.faults} for r in reports]}
    path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(prog="ssvq_gen.synth", description="Synthesize an SSVQ core with Yosys.")
    result.add_argument("config", help=f"a preset ({', '.join(PRESETS)}) or a TOML file")
    result.add_argument("--target", choices=[*TARGETS, "all"], default="all")
    result.add_argument("--output", type=Path, default=Path("build"), help="folder to write to (default: build)")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 when the core has a fault, 2 when the configuration is bad."""
    options = parser().parse_args(arguments)
    targets = list(TARGETS.values()) if options.target == "all" else [TARGETS[options.target]]
    console = Console(width=None if sys.stdout.isatty() else 120)
    try:
        config = CoreConfig.load(options.config)
        core = generate(config, options.output)
        reports = []
        for target in targets:
            with Console(stderr=True).status(f"synthesizing {config.name} for {target.title}"):
                reports.append(synthesize(config, target, core.verilog))
    except (ConfigError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except ToolError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    write_reports(config, reports, core.folder / "synth.json")
    console.print(report_table(config, reports))
    faults = [f"{TARGETS[r.target].title}: {fault}" for r in reports for fault in r.faults]
    for fault in faults:
        print(f"FAIL {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
