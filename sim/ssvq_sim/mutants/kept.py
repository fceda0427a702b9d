"""Verdicts that are kept, so that a run which was interrupted goes on: a line of JSON each, by what they depend on."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from .verdict import Verdict


class KeptVerdicts:
    """Verdicts in a file, by key. A line that was being written when the process died is no verdict."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: dict[str, Verdict] = {}
        self._last: dict[str, str | None] = {}
        if path.exists():
            text = path.read_text(encoding="utf-8")
            if not text.endswith("\n"):  # the next line must not go on with half of one
                with path.open("a", encoding="utf-8") as file:
                    file.write("\n")
            for line in text.splitlines():
                try:
                    data = json.loads(line)
                    key, mutation = data.pop("key"), data.pop("mutation")
                    self._kept[key] = Verdict(**data)
                    self._last[mutation] = self._kept[key].scenario
                except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
                    continue

    def get(self, key: str, number: int) -> Verdict | None:
        """The verdict on a mutant that now has this number, if it is there."""
        found = self._kept.get(key)
        return replace(found, number=number) if found else None

    def last_scenario(self, mutation: str) -> str | None:
        """What a mutant failed when it was last judged, however that came; the same is likely to kill it again."""
        return self._last.get(mutation)

    def add(self, key: str, mutation: str, verdict: Verdict) -> None:
        """Keep a verdict."""
        self._kept[key], self._last[mutation] = verdict, verdict.scenario
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": key, "mutation": mutation, **asdict(verdict)}) + "\n")
