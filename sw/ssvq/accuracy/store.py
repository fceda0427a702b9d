"""Finished runs: one file each, named by the digest of what determines its numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from ssvq.files import write_atomically

_DIGEST = re.compile(r"[0-9A-Za-z]{1,64}")


class StoreError(ValueError):
    """A file of results is not as it must be; the text names it."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run gave.

    Attributes:
        digest: of the run.
        metrics: by name, of the model as it would run on the core (of the float model where nothing is compressed).
        errors: standard error of those metrics that are means over a small sample.
        bits_per_weight: stored bits of the compressed layers' weights for each weight; 32 where nothing is compressed.
        file_ratio: float32 bytes of the compressed layers over the bytes of their container file; 1 for float.
        seconds: processor time that the run took; other work on the machine does not lengthen it.
        curve: what training logged, column by column.
    """

    digest: str
    metrics: dict[str, float]
    errors: dict[str, float] = field(default_factory=dict)
    bits_per_weight: float = 32.0
    file_ratio: float = 1.0
    seconds: float
    curve: dict[str, list[float | None]] = field(default_factory=dict)


class Store:
    """Outcomes in a folder.

    Args:
        folder: is made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, digest: str) -> Outcome | None:
        """The outcome of a run, or None.

        Raises:
            StoreError: its file is malformed.
        """
        path = self._folder / f"{digest}.json"
        if not path.exists():
            return None
        try:
            return read_outcome(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, RecursionError) as error:
            raise StoreError(f"{path} is no result, delete it: {error}") from error

    def put(self, outcome: Outcome) -> None:
        """Keep an outcome; the file appears whole or not at all."""
        self._folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(outcome), indent=1, sort_keys=True)
        write_atomically(self._folder / f"{outcome.digest}.json", f"{text}\n".encode())

    def take(self, path: Path) -> int:
        """Put outcomes of a file of `write_outcomes`, all that are not there yet; returns how many.

        Raises:
            StoreError: the file is malformed.
        """
        try:
            outcomes = [read_outcome(json.loads(line)) for line in path.read_text(encoding="utf-8").split("\n") if line]
        except (ValueError, RecursionError) as error:
            raise StoreError(f"{path} is no file of results: {error}") from error
        missing = [outcome for outcome in outcomes if not (self._folder / f"{outcome.digest}.json").exists()]
        for outcome in missing:
            self.put(outcome)
        return len(missing)


def read_outcome(plain: object) -> Outcome:
    """An outcome from its plain values. Raises StoreError for others: the digest names a file, so it has to be one."""
    known = {field.name: field for field in fields(Outcome)}
    if not isinstance(plain, dict) or not {"digest", "metrics", "seconds"} <= plain.keys() <= known.keys():
        raise StoreError(f"an outcome must have digest, metrics and seconds, and else only {', '.join(known)}")
    digest = plain["digest"]
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise StoreError(f"digest must be letters and digits, at most 64, not {digest!r:.80}")
    for name in ("metrics", "errors"):
        table = plain.get(name, {})
        if not isinstance(table, dict) or not all(map(_is_number, table.values())):
            raise StoreError(f"{name} must be numbers by name, not {table!r:.80}")
    for name in ("bits_per_weight", "file_ratio", "seconds"):
        if not _is_number(plain.get(name, 0)):
            raise StoreError(f"{name} must be a number, not {plain[name]!r:.80}")
    curve = plain.get("curve", {})
    if not isinstance(curve, dict) or not all(isinstance(column, list) for column in curve.values()):
        raise StoreError(f"curve must be lists by name, not {curve!r:.80}")
    if not all(value is None or _is_number(value) for column in curve.values() for value in column):
        raise StoreError("the columns of curve must have numbers, or null")
    return Outcome(**plain)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def write_outcomes(path: Path, outcomes: Iterable[Outcome]) -> None:
    """Write outcomes to one file, one a line, in the order of their digests."""
    lines = [json.dumps(asdict(o), sort_keys=True) for o in sorted(outcomes, key=lambda o: o.digest)]
    write_atomically(path, "".join(f"{line}\n" for line in lines).encode())
