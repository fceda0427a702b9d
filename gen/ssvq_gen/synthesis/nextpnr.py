"""Place and route of a core in its harness: a netlist, and a run of nextpnr for each seed.

All results are kept in `<folder of the core>/pnr` and made again only when the Verilog, a tool or an option changes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files import write_whole
from ..generate import Generated
from ..toolbox import ToolError, find_nextpnr, find_yosys, run_tool, run_yosys
from .cache import cached, key_of
from .harness import HARNESS, harness_text
from .script import netlist_script
from .targets import Device, Target
from .timing import parse_timing

FREQUENCY_MHZ = 200
"""What nextpnr strives for; the result is what it reaches."""

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Netlist:
    """A core in its harness, mapped to a family; `key` stands for everything it was made from."""

    path: Path
    key: str


def device_of(target: Target) -> Device:
    """The chip that is placed and routed. Raises ToolError when there is no nextpnr for the family."""
    if target.device is None:
        raise ToolError(f"there is no nextpnr for {target.title}: `make synth` is all there is")
    return target.device


def make_netlist(core: Generated, target: Target, *, progress: Progress | None = None) -> Netlist:
    """Map a core in its harness. Raises ToolError when Yosys fails."""
    folder = core.folder / "pnr"
    harness = folder / f"{HARNESS}.v"
    script = netlist_script(target, (f"../{core.verilog.name}", harness.name), HARNESS, f".{target.name}.json")
    text = harness_text(core.ports)
    key = key_of(core.files[core.verilog.name], text, script, find_yosys().version)
    path = folder / f"{target.name}.json"

    def make() -> str:
        write_whole(harness, text)
        run_yosys(script, cwd=folder, progress=progress)
        (folder / f".{target.name}.json").replace(path)
        return path.name

    if not path.is_file():
        (folder / f"{target.name}.key").unlink(missing_ok=True)
    cached(folder / f"{target.name}.key", key, make)
    return Netlist(path=path, key=key)


def run_seed(netlist: Netlist, target: Target, seed: int, *, progress: Progress | None = None) -> dict[str, Any]:
    """Place and route with one seed: `seed`, `fmax_mhz`, `path` and `used` as in `Timing`, as plain data.

    Raises ToolError when nextpnr fails; its last lines say what did not fit.
    """
    device = device_of(target)
    tool = find_nextpnr(device.program)
    folder = netlist.path.parent
    report = f".{target.name}-{seed}.report"
    arguments = [
        *device.options,
        *("--json", netlist.path.name, "--top", HARNESS, "--seed", str(seed)),
        *("--freq", str(FREQUENCY_MHZ), "--timing-allow-fail", "--report", report),
    ]
    key = key_of(netlist.key, tool.version, *arguments)

    def follow(line: str) -> None:
        if progress is not None and line.startswith("Info:"):
            progress(line.removeprefix("Info:").strip()[:60])

    def make() -> dict[str, Any]:
        run_tool(f"nextpnr-{device.program}", [*tool.command, *arguments], cwd=folder, follow=follow)
        timing = parse_timing(json.loads((folder / report).read_text(encoding="utf-8")))
        (folder / report).unlink()
        return {"seed": seed, **timing.to_dict()}

    result: dict[str, Any] = cached(folder / f"{target.name}-seed{seed}.json", key, make)
    return result
