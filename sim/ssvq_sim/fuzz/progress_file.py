"""What of a target was done, as a file that counts for the sources that it was done with, and for no others."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import ssvq
import ssvq_gen
from ssvq.files import write_atomically

from .findings import SUFFIX, FindingFolder
from .status import Status
from .worker_job import CORPUS_FOLDER, FINDINGS_FOLDER

DONE_FILE = "done.json"


@dataclass(frozen=True, kw_only=True)
class Done:
    """Amounts of work.

    Parameters
    ----------
    examples : structured inputs
    executions : guided ones
    seconds : processor time of the guided ones
    starts : workers that were started for it
    """

    examples: int = 0
    executions: int = 0
    seconds: float = 0.0
    starts: int = 0

    def reaches(self, wanted: Done) -> bool:
        """All examples, and either all executions or all of the time."""
        is_guided = self.executions >= wanted.executions or self.seconds >= wanted.seconds
        return self.examples >= wanted.examples and is_guided

    def minus(self, done: Done) -> Done:
        """What is left of it."""
        is_guided = done.executions >= self.executions or done.seconds >= self.seconds
        return Done(
            examples=max(0, self.examples - done.examples),
            executions=0 if is_guided else self.executions - done.executions,
            seconds=max(0.0, self.seconds - done.seconds),
        )

    def plus(self, status: Status) -> Done:
        """With what a worker did."""
        return replace(
            self,
            examples=self.examples + status.examples,
            executions=self.executions + status.executions,
            seconds=self.seconds + status.seconds,
        )

    def started(self) -> Done:
        """With one more start."""
        return replace(self, starts=self.starts + 1)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as JSON takes it."""
        return {**asdict(self), "seconds": round(self.seconds, 2)}


class TargetFolder:
    """Files of a target: what was done, findings, and the corpus of libFuzzer.

    Findings of other sources become part of the corpus, so that they are tried again.

    Parameters
    ----------
    output : folder of the run
    name : of the target
    """

    def __init__(self, output: Path, name: str) -> None:
        self.path = output / name
        self.findings_path = self.path / FINDINGS_FOLDER
        corpus = self.path / CORPUS_FOLDER
        corpus.mkdir(parents=True, exist_ok=True)
        if self._stored().get("sources") != sources_digest():
            for about in self.findings_path.glob(f"*{SUFFIX}"):
                about.with_suffix("").replace(corpus / about.stem)
                about.unlink()
            self.keep(Done())
        self.findings = FindingFolder(self.findings_path)

    def done(self) -> Done:
        """What was done with these sources."""
        return Done(**self._stored()["done"])

    def keep(self, done: Done) -> None:
        """Write it down."""
        text = json.dumps({"sources": sources_digest(), "done": done.to_dict()})
        write_atomically(self.path / DONE_FILE, text.encode())

    def _stored(self) -> dict[str, Any]:
        try:
            stored: dict[str, Any] = json.loads((self.path / DONE_FILE).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return stored


@cache
def sources_digest() -> str:
    """Of all sources that read files, and of the fuzzing itself."""
    found = hashlib.sha256()
    for package in (*ssvq.__path__, *ssvq_gen.__path__, str(Path(__file__).parent)):
        for path in sorted(Path(package).rglob("*.py")):
            found.update(f"{path.relative_to(package)}\0".encode() + path.read_bytes())
    return found.hexdigest()
