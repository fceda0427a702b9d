"""Results of accuracy runs, one JSON object a line: runs.jsonl."""

from __future__ import annotations

import shutil
from pathlib import Path

from ssvq.accuracy.store import Outcome, Store, StoreError, write_outcomes

from ..scratch import as_file, folder
from ..target import Target, Tree, UnwritableError
from .json_text import json_text, json_tree

Outcomes = list[Outcome]


def _bytes(outcomes: Outcomes) -> bytes:
    path = folder() / "written.jsonl"
    write_outcomes(path, outcomes)
    return path.read_bytes()


def _seeds() -> list[bytes]:
    first = Outcome(digest="0a1b", metrics={"top-1": 0.5}, errors={"top-1": 0.01}, bits_per_weight=1.5, seconds=3.0)
    second = Outcome(digest="ff", metrics={}, seconds=1, curve={"step": [1.0, 2.0], "loss": [None, 0.25]})
    return [_bytes([first, second])]


def _read(data: bytes) -> Outcomes:
    """Taken into a folder, and from there one by one."""
    own = folder() / "store"
    shutil.rmtree(own, ignore_errors=True)
    store = Store(own)
    store.take(as_file(data, "runs.jsonl"))
    found = (store.get(path.stem) for path in sorted(Path(own).glob("*.json")))
    return [outcome for outcome in found if outcome is not None]


def _apart(data: bytes) -> Tree:
    return [json_tree(line) for line in data.splitlines()]


def _together(tree: Tree) -> bytes:
    if not isinstance(tree, list):
        raise UnwritableError("results are lines")
    return b"".join(json_text(line) + b"\n" for line in tree)


TARGET = Target(
    name="outcomes",
    seeds=_seeds,
    errors=(StoreError,),
    read=_read,
    write=_bytes,
    apart=_apart,
    together=_together,
)
