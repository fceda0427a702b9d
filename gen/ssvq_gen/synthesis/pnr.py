"""`python -m ssvq_gen.synthesis.pnr CONFIG --target ecp5` writes `<output>/<configuration name>/pnr-<target>.json`."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rich.table import Table

from ..command import config_argument, output_argument, reports_errors, require_least, table_console
from ..config import CoreConfig
from ..files import write_whole
from ..generate import Generated, generate
from ..toolbox import find_nextpnr, find_yosys
from .nextpnr import device_of, make_netlist, run_seed
from .show import Stage
from .targets import TARGETS, Target, require_target

ROUTABLE = [name for name, target in TARGETS.items() if target.device is not None]
EXAMPLES = """examples:
  python -m ssvq_gen.synthesis.pnr tiny --target ecp5
  python -m ssvq_gen.synthesis.pnr my_core.toml --target gowin --seeds 1
"""


def place_and_route(core: Generated, target: Target, *, seeds: int, jobs: int, stage: Stage) -> dict[str, Any]:
    """Result of all seeds from 1 to `seeds`, as it is written to the file; the median seed's path is its path.

    With an even number of seeds the lower of the two in the middle counts. Raises ToolError when a tool fails.
    """
    device = device_of(target)
    nextpnr = find_nextpnr(device.program)
    netlist = make_netlist(core, target, progress=stage.step("synthesis"))
    with ThreadPoolExecutor(jobs) as pool:
        runs = list(
            pool.map(
                lambda seed: run_seed(netlist, target, seed, progress=stage.step(f"seed {seed} of {seeds}")),
                range(1, seeds + 1),
            )
        )
    median = statistics.median_low(run["fmax_mhz"] for run in runs)
    typical = next(run for run in runs if run["fmax_mhz"] == median)
    return {
        "config": core.config.name,
        "digest": f"{core.config.digest:016x}",
        "target": target.name,
        "device": device.title,
        "tools": [find_yosys().version, nextpnr.version],
        "fmax_mhz": median,
        "fmax_by_seed": {str(run["seed"]): run["fmax_mhz"] for run in runs},
        "seeds": seeds,
        "critical_path": typical["path"],
        "used": typical["used"],
    }


def pnr_table(result: dict[str, Any]) -> Table:
    """The critical path of the median seed, a line for each signal on it."""
    table = Table("critical path", title=f"{result['config']} on {result['device']}", title_justify="left")
    for head in ("logic ns", "wires ns", "arrives ns"):
        table.add_column(head, justify="right")
    time = 0.0
    for hop in result["critical_path"]:
        time += hop["logic_ns"] + hop["routing_ns"]
        table.add_row(hop["signal"], f"{hop['logic_ns']:.2f}", f"{hop['routing_ns']:.2f}", f"{time:.2f}")
    return table


def frequency_line(result: dict[str, Any]) -> str:
    """The frequency, and that of each seed."""
    mhz = ", ".join(f"{fmax:.1f}" for fmax in result["fmax_by_seed"].values())
    return f"{result['fmax_mhz']:.1f} MHz, median of {mhz}"


def used_line(result: dict[str, Any]) -> str:
    """What is taken of the chip, in one line."""
    used = (f"{kind} {n}/{total}" for kind, (n, total) in result["used"].items())
    return f"taken of the chip, harness included: {', '.join(used)}"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog="ssvq_gen.synthesis.pnr",
        description="Place and route an SSVQ core with nextpnr: frequency and critical path, median of some seeds. "
        "What is there from an earlier run and still holds is not run again.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    config_argument(result)
    names = ", ".join(f"{name} ({TARGETS[name].title})" for name in ROUTABLE)
    result.add_argument("--target", choices=ROUTABLE, default="ecp5", metavar="TARGET", help=f"{names}; default: ecp5")
    result.add_argument("--seeds", type=int, default=5, help="seeds that are tried (default: 5)")
    result.add_argument("--jobs", type=int, default=1, help="seeds at the same time, about 1 GB each (default: 1)")
    output_argument(result)
    return result


@reports_errors()
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 when a tool fails or the core does not fit, 2 when an argument is bad."""
    options = parser().parse_args(arguments)
    target = TARGETS[options.target]
    for name in ("seeds", "jobs"):
        require_least(options, name, 1)
    config = CoreConfig.load(options.config)
    require_target(config, target)
    core = generate(config, options.output)
    with Stage(f"{config.name} on {target.title}") as stage:
        result = place_and_route(core, target, seeds=options.seeds, jobs=options.jobs, stage=stage)
    write_whole(core.folder / f"pnr-{target.name}.json", json.dumps(result, indent=2) + "\n")
    console = table_console()
    console.print(pnr_table(result))
    console.print(used_line(result))
    console.print(frequency_line(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
