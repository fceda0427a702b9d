"""Comparing blocks: a pair of block and family that has not changed is not compared again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

from ssvq_gen.files import write_whole
from ssvq_gen.synthesis.cache import keep, read_cached
from ssvq_gen.toolbox import find_yosys
from ssvq_gen.verilog import emit_verilog

from ..cache import content_key
from .blocks import Block
from .families import Family
from .proof import CORRESPONDENCE, SEARCH_CYCLES, SECONDS, Status, Verdict, prove
from .script import model_script, netlist_script, pair_script, source_script

RESULTS = "equivalence.json"
_KEPT = "result.json"


@dataclass(frozen=True, kw_only=True)
class Result:
    """A line of `equivalence.json`: a block, a family, what is outside of the comparison, and what came of it."""

    block: str
    part: str
    family: str
    outside: tuple[str, ...]
    status: Status
    detail: str
    seconds: float
    cells: int
    luts: int
    registers: int
    outputs: int


def key_of(block: Block, family: Family, verilog: str, seconds: int = SECONDS) -> str:
    """A name for exactly this Verilog, these scripts and tools."""
    scripts = [*source_script(block), *netlist_script(family), *pair_script(family), *model_script()]
    how = [f"{seconds} s", CORRESPONDENCE, f"{SEARCH_CYCLES} cycles", find_yosys().version]
    return content_key({"verilog": verilog, "scripts": "\n".join(scripts), "how": "\n".join(how)})


def compare_all(
    blocks: Sequence[Block],
    families: Sequence[Family],
    folder: Path,
    *,
    jobs: int = 1,
    seconds: int = SECONDS,
    again: bool = False,
    follow: Callable[[Result], None] | None = None,
) -> list[Result]:
    """Compare every block with its netlists, `jobs` at a time, and write `equivalence.json`.

    Results come by block, in the order of `families`. A pair has a folder `<block>/<family>`, where its result is kept,
    unless it is unknown; `again` takes none from there. `follow` is told every result.
    Raises ToolError when a tool is missing or stops.
    """
    verilog = {block.name: emit_verilog(block.build()) for block in blocks}  # elaboration is not made for threads

    def run(pair: tuple[Block, Family]) -> Result:
        block, family = pair
        result = _result(block, family, verilog[block.name], folder / block.name / family.name, seconds, again)
        if follow is not None:
            follow(result)
        return result

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        results = list(pool.map(run, product(blocks, families)))
    write_whole(folder / RESULTS, json.dumps([asdict(result) for result in results], indent=1) + "\n")
    return results


def _result(block: Block, family: Family, verilog: str, folder: Path, seconds: int, again: bool) -> Result:
    key, kept = key_of(block, family, verilog, seconds), folder / _KEPT
    verdict = None if again else _kept(kept, key)
    if verdict is None:
        verdict = prove(block, family, verilog, folder, seconds=seconds)
        if verdict.status is not Status.UNKNOWN:
            keep(kept, key, asdict(verdict))
    fields = asdict(verdict) | {"seconds": round(verdict.seconds, 1)}
    outside = tuple(kind.value for kind in block.outside)
    return Result(block=block.name, part=block.part, family=family.name, outside=outside, **fields)


def _kept(path: Path, key: str) -> Verdict | None:
    """The verdict of this key, if it is the one that is kept."""
    value = read_cached(path, key)
    return None if value is None else Verdict(**{**value, "status": Status(value["status"])})
