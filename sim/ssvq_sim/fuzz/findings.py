"""Findings as files: the input, and beside it what is wrong."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ssvq.files import write_atomically

from .execution import Finding

SUFFIX = ".json"


@dataclass(frozen=True, kw_only=True)
class SavedFinding:
    """A finding, and the file of the input."""

    finding: Finding
    path: Path

    def replay_command(self, target: str) -> str:
        """What reads the input again."""
        return f"python -m ssvq_sim.fuzz --only {target} --replay {self.path}"

    def to_dict(self, target: str) -> dict[str, Any]:
        """Plain data, as JSON takes it."""
        return {**asdict(self.finding), "input": str(self.path), "replay": self.replay_command(target)}


class FindingFolder:
    """Findings of one target; of those with the same signature, the first.

    Parameters
    ----------
    folder : is made
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._known = {saved.finding.signature for saved in self.all()}

    def add(self, finding: Finding, content: bytes) -> None:
        """Keep a finding that is not there yet."""
        if finding.signature in self._known:
            return
        self._known.add(finding.signature)
        path = self._folder / hashlib.sha256(content + finding.signature.encode()).hexdigest()[:16]
        write_atomically(path, content)
        write_atomically(path.with_suffix(SUFFIX), json.dumps(asdict(finding), indent=1).encode())

    def all(self) -> list[SavedFinding]:
        """What is there, in the order of names."""
        return [
            SavedFinding(finding=Finding(**json.loads(path.read_text())), path=path.with_suffix(""))
            for path in sorted(self._folder.glob(f"*{SUFFIX}"))
        ]
