"""Lint of generated Verilog: Verilator's -Wall with a counted list of waivers, and Yosys's `check -assert`.

`python -m ssvq_gen.lint [CONFIG ...]` generates the cores and checks them; a waiver that none of them needs is a fault.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .command import reports_errors
from .config import GENERIC, CoreConfig
from .generate import generate
from .packaging.simulation import cell_model_files
from .synthesis.script import CHECK_SCRIPT
from .synthesis.targets import TARGETS
from .toolbox import run_verilator, run_yosys
from .verilog import TOP

WAIVERS = Path(__file__).with_name(f"{TOP}.vlt")
LATCH_SCRIPT = "select -assert-none t:$dlatch t:$adlatch t:$dlatchsr"
_MESSAGE = re.compile(r"^%(?:Warning|Error)(?:-(\w+))?: .*", re.MULTILINE)


class WaiverError(ValueError):
    """The waiver file breaks a rule; the message names the file and the rule."""


@dataclass(frozen=True, kw_only=True)
class Waiver:
    """A rule that is switched off, and the reason."""

    rule: str
    reason: str


def read_waivers(path: Path) -> tuple[Waiver, ...]:
    """Waivers of a Verilator control file.

    Raises WaiverError when the file does not state how many there are, states another number, or has one without a
    reason in the comment above it.
    """
    text = path.read_text(encoding="utf-8")
    stated = re.search(r"^// Waivers: (\d+)$", text, re.MULTILINE)
    if stated is None:
        raise WaiverError(f"{path}: a line `// Waivers: N` must state the number of waivers")
    waivers = []
    above = ""
    for line in text.splitlines():
        if line.startswith("lint_off"):
            rule = re.match(r"lint_off -rule (\w+) ", line)
            if rule is None:
                raise WaiverError(f"{path}: a waiver must name its rule, not {line!r}")
            if not above.startswith("// "):
                raise WaiverError(f"{path}: waiver {rule[1]} must have its reason in a comment right above it")
            waivers.append(Waiver(rule=rule[1], reason=above.removeprefix("// ")))
        above = line
    if len(waivers) != int(stated[1]):
        raise WaiverError(f"{path}: states {stated[1]} waivers but has {len(waivers)}")
    return tuple(waivers)


def count_messages(log: str) -> Counter[str]:
    """Verilator's messages by rule; errors without a rule count as ERROR."""
    return Counter(match[1] or "ERROR" for match in _MESSAGE.finditer(log))


def lint_verilog(
    verilog: Path, waivers: Sequence[Waiver], models: Sequence[str] = ()
) -> tuple[Counter[str], list[str]]:
    """Messages of one Verilog file by rule, and the text of those that no waiver covers.

    `models` are files of vendors' cells below the same folder.
    """
    arguments = ["--lint-only", "-Wall", "-Wno-fatal", "--error-limit", "0", "--top-module", TOP, verilog.name, *models]
    log = run_verilator(arguments, cwd=verilog.parent).stdout
    waived = {waiver.rule for waiver in waivers}
    faults = [match[0] for match in _MESSAGE.finditer(log) if match[1] not in waived]
    return count_messages(log), faults


def verify_waived(verilog: Path, waivers: Path, models: Sequence[str] = ()) -> str:
    """What Verilator prints with the waiver file; empty when it accepts the Verilog as it is meant to be used."""
    relative = [str(waivers.resolve()), str(verilog.resolve()), *models]
    result = run_verilator(["--lint-only", "-Wall", "--quiet", "--top-module", TOP, *relative], cwd=verilog.parent)
    return result.stdout if result.returncode else ""


def check_structure(verilog: Path, target: str = GENERIC) -> None:
    """Raise ToolError for several drivers of a net, combinational loops or latches.

    target : whose cells the core is made of
    """
    library = TARGETS[target].reads_library if target in TARGETS else ()
    script = [*library, f"read_verilog {verilog.name}", CHECK_SCRIPT, LATCH_SCRIPT]
    run_yosys("; ".join(script), cwd=verilog.parent)


def lint_core(
    config: CoreConfig, verilog: Path, models: Sequence[str], waivers: Path = WAIVERS
) -> tuple[Counter[str], list[str]]:
    """Verilator's messages on a core by rule, and those that are faults.

    models : files of vendors' cells below the Verilog's folder

    Raises WaiverError for the waiver file, and ToolError for several drivers, combinational loops and latches.
    """
    counts, faults = lint_verilog(verilog, read_waivers(waivers), models)
    if not faults and (refused := verify_waived(verilog, waivers, models)):
        faults = [f"refused with {waivers}: {refused.splitlines()[0]}"]
    check_structure(verilog, config.target)
    return counts, faults


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(prog="ssvq_gen.lint", description="Lint the Verilog of SSVQ cores.")
    result.add_argument("config", nargs="*", help="presets or TOML files (default: tiny edge base)")
    result.add_argument("--output", type=Path, default=Path("build"), help="folder to write to (default: build)")
    result.add_argument("--waivers", type=Path, default=WAIVERS, help=f"waiver file (default: {WAIVERS})")
    return result


def _lint(options: argparse.Namespace, console: Console) -> list[str]:
    waivers = read_waivers(options.waivers)
    needed: Counter[str] = Counter()
    faults: list[str] = []
    table = Table("config", "messages waived", "others", title="lint", title_justify="left")
    for name in options.config or ["tiny", "edge", "base"]:
        config = CoreConfig.load(name)
        with console.status(f"linting {config.name}"):
            verilog = generate(config, options.output).verilog
            counts, found = lint_core(config, verilog, list(cell_model_files(config)), options.waivers)
        needed += counts
        faults += [f"{config.name}: {fault}" for fault in found]
        table.add_row(config.name, str(counts.total() - len(found)), str(len(found)))
    Console().print(table)
    return faults + [f"{options.waivers}: waiver {w.rule} is not needed" for w in waivers if not needed[w.rule]]


@reports_errors(WaiverError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 when something is found, 2 when a configuration or the waiver file is bad."""
    options = parser().parse_args(arguments)
    faults = _lint(options, Console(stderr=True))
    for fault in faults[:40]:
        print(f"FAIL {fault}", file=sys.stderr)
    if len(faults) > 40:
        print(f"... and {len(faults) - 40} more", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
