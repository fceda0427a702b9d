"""`python -m ssvq_gen.synthesis CONFIG --target xc7 ecp5 ...|all` writes `<output>/<configuration name>/synth.json`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..command import config_argument, output_argument, reports_errors, require_least, table_console
from ..config import PRESETS, CoreConfig
from ..generate import Generated, generate
from .limits import LIMITS, Limits, LimitsError, read_limits, regressions, renewed, write_limits
from .report import Report, blocks_table, report_table, shortages, write_reports
from .run import synthesize
from .show import Stage
from .target_argument import chosen_for, target_argument
from .targets import TARGETS, Target

EXAMPLES = """examples:
  python -m ssvq_gen.synthesis tiny --target xc7 ecp5
  python -m ssvq_gen.synthesis my_core.toml --target all --every-block
  python -m ssvq_gen.synthesis tiny --target xc7 ecp5 --renew-limits
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog="ssvq_gen.synthesis",
        description="Synthesize an SSVQ core with Yosys: resources of the whole core and of every block. A latch, a "
        "memory of 1 Kbit that ended in flip-flops, or a count that grew over its limit is a fault.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    config_argument(result)
    target_argument(result)
    output_argument(result)
    result.add_argument("--jobs", type=int, default=2, help="targets at the same time, about 1 GB each (default: 2)")
    result.add_argument("--every-block", action="store_true", help="show the blocks below 1 %% of the LUTs as well")
    result.add_argument("--limits", type=Path, default=LIMITS, help=f"table of limits (default: {LIMITS})")
    result.add_argument("--renew-limits", action="store_true", help="write this run's counts into the table of limits")
    return result


def _synthesize(core: Generated, targets: Sequence[Target], jobs: int) -> list[Report]:
    """Reports in the order of the targets, `jobs` of them at the same time."""
    with Stage(f"synthesis of {core.config.name}") as stage, ThreadPoolExecutor(jobs) as pool:
        return list(
            pool.map(
                lambda target: synthesize(core.config, target, core.verilog, progress=stage.step(target.title)), targets
            )
        )


def _limits(options: argparse.Namespace) -> Limits:
    """The table of limits; none for a configuration of the user's own, or when the first table is written."""
    if options.renew_limits and not options.limits.exists():
        return {}
    return read_limits(options.limits) if options.config in PRESETS or options.renew_limits else {}


@reports_errors(LimitsError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 when the core has a fault, 2 when the configuration or the table of limits is bad."""
    options = parser().parse_args(arguments)
    require_least(options, "jobs", 1)
    config = CoreConfig.load(options.config)
    limits = _limits(options)
    targets = chosen_for(config, options.target)
    core = generate(config, options.output)
    reports = _synthesize(core, targets, options.jobs)
    write_reports(config, reports, core.folder / "synth.json")
    faults = [f"{TARGETS[r.target].title}: {fault}" for r in reports for fault in r.faults]
    if options.renew_limits and not faults:
        write_limits(renewed(config.name, reports, limits), options.limits)
    console = table_console()
    for report in reports:
        console.print(blocks_table(config, report, every=options.every_block))
    console.print(report_table(config, reports))
    for line in shortages(config, reports):
        console.print(line)
    if not options.renew_limits:
        faults += regressions(config.name, reports, limits)
    for fault in faults:
        print(f"FAIL {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
