"""`python -m ssvq_gen.synthesis.datasheet` writes `<output>/datasheet/datasheet.json` and `datasheet.md`.

Every result is kept, and the sheet is written again after each, so that a run goes on where it broke off.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..command import output_argument, reports_errors, require_least
from ..config import CoreConfig, WeightFormat
from ..files import write_whole
from ..generate import Generated, generate
from ..toolbox import ToolError, find_yosys
from .cache import cached, key_of
from .pnr import place_and_route
from .run import synthesize
from .script import synthesis_script
from .show import Stage
from .target_argument import chosen, target_argument
from .targets import TARGETS, Target, targets_of

CONFIGS = ("tiny", "edge", "base")
FOLDER = "datasheet"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A core on a target. What was not found out yet, or cannot be, is None; `note` says why there is no frequency."""

    config: str
    target: str
    lut: int
    ff: int
    dsp: int
    block_ram: int
    lut_per_mac: float
    fmax_mhz: float | None = None
    seeds: int = 0
    decode_lut_share: float | None = None
    note: str = ""


def without_decoder(config: CoreConfig) -> CoreConfig:
    """The same core for dense int8 weights only: no codebooks, no decode lanes, no signs."""
    return config.replace(name=f"{config.name}_int8", formats=(WeightFormat.INT8,))


def area(core: Generated, target: Target, output: Path, stage: Stage) -> dict[str, int]:
    """Resources of a core, from an earlier run if there was one. Raises ToolError when Yosys fails."""
    key = key_of(core.files[core.verilog.name], synthesis_script(target, ""), find_yosys().version, str(target.cells))

    def make() -> dict[str, int]:
        return dict(synthesize(core.config, target, core.verilog, progress=stage.step("synthesis")).resources)

    path = output / FOLDER / "results" / f"{core.config.name}-{target.name}.json"
    resources: dict[str, int] = cached(path, key, make)
    return resources


def area_row(config: CoreConfig, target: Target, resources: dict[str, int]) -> Row:
    """The row with what synthesis tells."""
    counts = {kind: resources[kind] for kind in ("lut", "ff", "dsp", "block_ram")}
    shortages = target.device.shortages(resources) if target.device else []
    note = f"does not fit {target.device.title}: {', '.join(shortages)}" if target.device and shortages else ""
    return Row(
        config=config.name,
        target=target.name,
        **counts,
        lut_per_mac=round(resources["lut"] / (config.rows * config.cols), 2),
        note=note,
    )


def with_frequency(row: Row, core: Generated, target: Target, seeds: int, stage: Stage) -> Row:
    """The row with what place and route tells; with a note when the core cannot be placed or routed."""
    try:
        result = place_and_route(core, target, seeds=seeds, jobs=1, stage=stage)
    except ToolError as error:
        return replace(row, note=_reason(error))
    return replace(row, fmax_mhz=result["fmax_mhz"], seeds=result["seeds"])


def _reason(error: ToolError) -> str:
    """The line of a tool's output that says what went wrong."""
    lines = str(error).splitlines()
    return next((line for line in lines if line.startswith("ERROR")), lines[0])


def rows_as_json(rows: Iterable[Row]) -> str:
    """The JSON file."""
    return json.dumps({"rows": [asdict(row) for row in rows]}, indent=2) + "\n"


def _cell(value: Any, form: str = "") -> str:
    return "-" if value is None else format(value, form)


def rows_as_markdown(rows: Sequence[Row]) -> str:
    """The table, and its notes."""
    heads = ("core", "target", "LUT", "FF", "DSP", "block RAM", "MHz", "seeds", "LUT per MAC", "decoding")
    lines = ["# Area and frequency", "", f"| {' | '.join(heads)} |", "|---|---|" + "---:|" * (len(heads) - 2)]
    for row in rows:
        counts = (row.lut, row.ff, row.dsp, row.block_ram)
        rest = (
            _cell(row.fmax_mhz, ".1f"),
            str(row.seeds),
            f"{row.lut_per_mac:.1f}",
            _cell(row.decode_lut_share, ".1%"),
        )
        title = TARGETS[row.target].title
        lines.append(f"| {' | '.join((row.config, title, *(f'{n:,}' for n in counts), *rest))} |")
    units = (f"{t.title}: DSP is {t.dsp_unit}, RAM {t.block_ram_unit}" for t in TARGETS.values())
    chips = (f"{t.title}: {t.device.title}" for t in TARGETS.values() if t.device)
    lines += [
        "",
        "LUT counts every position taken, distributed RAM included. MHz is the median of the seeds on "
        f"{', '.join(chips)}. Decoding is the share of LUTs that a core for int8 weights only does without. "
        f"Units: {'; '.join(units)}.",
        "",
        *(f"* {row.config} on {TARGETS[row.target].title}: {row.note}" for row in rows if row.note),
    ]
    return "\n".join(lines).rstrip() + "\n"


class Sheet:
    """The rows so far, in order; each new one is in the files at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: dict[tuple[str, str], Row] = {}

    def put(self, row: Row) -> Row:
        """Add or replace a row."""
        self._rows[row.config, row.target] = row
        rows = list(self._rows.values())
        write_whole(self._folder / "datasheet.json", rows_as_json(rows))
        write_whole(self._folder / "datasheet.md", rows_as_markdown(rows))
        return row


def fill(sheet: Sheet, configs: Sequence[CoreConfig], targets: Sequence[Target], *, seeds: int, output: Path) -> None:
    """All areas first, then the frequencies, then what decoding costs: the sheet is useful early."""
    rows = []
    for config in configs:
        core = generate(config, output)
        for target in (t for t in targets if t.name in targets_of(config)):
            with Stage(f"{config.name} on {target.title}") as stage:
                rows.append((core, target, sheet.put(area_row(config, target, area(core, target, output, stage)))))
    timed = []
    for core, target, row in rows:
        if target.device is not None and not row.note and seeds:
            with Stage(f"{row.config} on {target.title}") as stage:
                row = sheet.put(with_frequency(row, core, target, seeds, stage))
        timed.append((core, target, row))
    for core, target, row in timed:
        bare = generate(without_decoder(core.config), output)
        with Stage(f"{bare.config.name} on {target.title}") as stage:
            less = area(bare, target, output, stage)["lut"]
        sheet.put(replace(row, decode_lut_share=round((row.lut - less) / row.lut, 4)))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog="ssvq_gen.synthesis.datasheet",
        description="Area and frequency of cores on all targets, in one table and one JSON file. Takes hours; what an "
        "earlier run found is taken from there as long as the Verilog and the tools are the same.",
    )
    default = " ".join(CONFIGS)
    result.add_argument("--config", nargs="+", default=CONFIGS, help=f"presets or TOML files (default: {default})")
    target_argument(result)
    result.add_argument("--seeds", type=int, default=5, help="seeds for each frequency; 0 for none (default: 5)")
    output_argument(result)
    return result


@reports_errors()
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 when a tool fails, 2 when an argument is bad."""
    options = parser().parse_args(arguments)
    require_least(options, "seeds", 0)
    configs = [CoreConfig.load(name) for name in options.config]
    sheet = Sheet(options.output / FOLDER)
    fill(sheet, configs, chosen(options.target), seeds=options.seeds, output=options.output)
    print((options.output / FOLDER / "datasheet.md").read_text(encoding="utf-8"), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
