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

from .digest import tree_digest

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
        seconds: that it took, this time and in runs before that were interrupted.
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
    """Run a part, or take its outcome when it has passed with the same sources and arguments before.

    Its command goes on where it was interrupted.
    """
    arguments = [*(part.quick_arguments if quick else part.arguments), "--output", str(folder / part.name)]
    key = tree_digest([part.module, *arguments])
    kept = folder / f"{part.name}.json"
    if kept.is_file():
        data = json.loads(kept.read_text(encoding="utf-8"))
        if data.pop("key") == key and data["passed"]:
            return Outcome(**data)
    (folder / part.name).mkdir(parents=True, exist_ok=True)
    log, begin = folder / f"{part.name}.log", time.monotonic()
    with log.open("w", encoding="utf-8") as file:
        command = [sys.executable, "-m", part.module, *arguments]
        code = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False).returncode
    outcome = Outcome(
        name=part.name,
        passed=code == 0,
        seconds=round(time.monotonic() - begin, 1),
        summary=_summary(part, folder / part.name / part.result),
        log=str(log),
    )
    kept.write_text(json.dumps({"key": key, **outcome.to_dict()}, indent=1), encoding="utf-8")
    return outcome


def _summary(part: Part, path: Path) -> Summary:
    if not path.is_file():
        return {}
    return part.summarize(json.loads(path.read_text(encoding="utf-8")))
