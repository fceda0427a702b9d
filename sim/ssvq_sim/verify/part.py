"""A part of the verification: a command of its own, and what its result file says."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..job_files import write_json
from ..sources import result_key

Summary = Mapping[str, Any]
"""Figures of a part, as verify.json has them."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One of the commands.

    Attributes:
        name: also of its folder and log.
        module: that Python runs.
        arguments, quick_arguments: of a full and of a quick run; `--output` is added.
        in_quick: whether a quick run has it.
        result: file in the part's folder.
        summarize: its figures from what is in that file.
    """

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    quick_arguments: tuple[str, ...] = ()
    in_quick: bool = True
    result: str
    summarize: Callable[[Any], Summary]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a part.

    Attributes:
        passed: the command's exit code was 0.
        seconds: that it took this time.
        summary: its figures; empty when it left no result.
        log: file with all that it printed.
    """

    name: str
    passed: bool
    seconds: float
    summary: Summary
    log: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {**vars(self), "summary": dict(self.summary)}


def run_part(part: Part, folder: Path, *, quick: bool) -> Outcome:
    """Run a part, or take its outcome when it has passed with the same sources and tools before.

    An outcome is kept when it has passed and no source was changed meanwhile.
    """
    before = kept_outcome(part, folder, quick=quick)
    if before is not None:
        return before
    key, own, log = _key(part, folder, quick), folder / part.name, _log(part, folder)
    own.mkdir(parents=True, exist_ok=True)
    (own / part.result).unlink(missing_ok=True)  # what is there afterwards is of this run
    begin = time.monotonic()
    with log.open("w", encoding="utf-8") as file:
        command = [sys.executable, "-m", part.module, *_arguments(part, folder, quick)]
        code = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False).returncode
    outcome = Outcome(
        name=part.name,
        passed=code == 0,
        seconds=round(time.monotonic() - begin, 1),
        summary=_summary(part, own / part.result),
        log=str(log),
    )
    if outcome.passed and key == _key(part, folder, quick):
        write_json(_kept(part, folder), {"key": key, "passed": True, "seconds": outcome.seconds})
    return outcome


def kept_outcome(part: Part, folder: Path, *, quick: bool) -> Outcome | None:
    """The outcome of a run with the same sources, tools and arguments, if there is one that can be read."""
    try:
        data = json.loads(_kept(part, folder).read_text(encoding="utf-8"))
        key, passed, seconds = data["key"], data["passed"], data["seconds"]
        summary = _summary(part, folder / part.name / part.result)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if key != _key(part, folder, quick) or not summary:
        return None
    return Outcome(name=part.name, passed=passed, seconds=seconds, summary=summary, log=str(_log(part, folder)))


def _kept(part: Part, folder: Path) -> Path:
    return folder / f"{part.name}.json"


def _log(part: Part, folder: Path) -> Path:
    return folder / f"{part.name}.log"


def _arguments(part: Part, folder: Path, quick: bool) -> list[str]:
    return [*(part.quick_arguments if quick else part.arguments), "--output", str(folder / part.name)]


def _key(part: Part, folder: Path, quick: bool) -> str:
    return result_key(part.module, {"module": part.module, "arguments": json.dumps(_arguments(part, folder, quick))})


def _summary(part: Part, path: Path) -> Summary:
    if not path.is_file():
        return {}
    return part.summarize(json.loads(path.read_text(encoding="utf-8")))
