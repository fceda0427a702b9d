"""Readers of a small JSON format, each with one fault that fuzzing has to find, and one without."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ssvq_sim.fuzz.target import Target, Tree
from ssvq_sim.fuzz.targets.json_text import json_text, json_tree

SEED = {"name": "abc", "size": 3}


class RefusedError(ValueError):
    """The documented error of these readers."""


def checked(data: bytes) -> dict[str, Any]:
    """Without a fault: a name of letters and a size from 1 to 9."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"it must be JSON: {error}") from error
    if not isinstance(value, dict) or set(value) != set(SEED):
        raise RefusedError("it must have a name and a size")
    if not isinstance(value["name"], str) or not value["name"].isalpha():
        raise RefusedError("name must be letters")
    if type(value["size"]) is not int or not 0 < value["size"] < 10:
        raise RefusedError(f"size must be from 1 to 9, not {value['size']!r:.20}")
    return value


def target(read: Callable[[bytes], Any], write: Callable[[Any], bytes] = json_text) -> Target:
    return Target(
        name=read.__name__,
        seeds=lambda: [json_text(SEED)],
        errors=(RefusedError,),
        read=read,
        write=write,
        apart=json_tree,
        together=json_text,
    )


def loaded(data: bytes) -> Tree:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"it must be JSON: {error}") from error


def raises_key_error(data: bytes) -> Any:
    value = loaded(data)
    return {"name": value["name"], "size": value["size"]} if isinstance(value, dict) else SEED


def hangs(data: bytes) -> Any:
    value = checked(data)
    size = value["size"]
    while size % 2 == 0:  # 6 is 3 after a step, and 8 is 1 after three
        size = size // 2 if size != 4 else size
    return value


def allocates(data: bytes) -> Any:
    value = loaded(data)
    size = value.get("size") if isinstance(value, dict) else None
    if isinstance(size, int) and 0 < size < 1 << 40:
        bytearray(size)
    return checked(data)


def hides_what_it_allocates(data: bytes) -> Any:
    try:
        return allocates(data)
    except Exception as error:
        raise RefusedError(f"it is malformed: {error!r}") from error


def accepts_damage(data: bytes) -> Any:
    value = loaded(data)
    if isinstance(value, dict) and isinstance(value.get("size"), int) and value["size"] > 9:
        return {**SEED, "size": 0.5}
    return checked(data)


def dies(data: bytes) -> Any:
    value = checked(data)
    if value["size"] != SEED["size"]:
        os.abort()
    return value


def waits(data: bytes) -> Any:
    value = checked(data)
    while value["size"] != SEED["size"]:
        time.sleep(1)
    return value


def runs_code(data: bytes) -> Any:
    value = loaded(data)
    if isinstance(value, dict) and isinstance(value.get("name"), str) and value["name"] != SEED["name"]:
        eval(repr(value["name"]))
    return checked(data)


def writes_files(data: bytes) -> Any:
    value = loaded(data)
    if isinstance(value, dict) and value.get("name") != SEED["name"]:
        Path("/dev/null").write_text("")
    return checked(data)


def says_nothing(data: bytes) -> Any:
    try:
        return checked(data)
    except RefusedError as error:
        raise RefusedError("") from error


FAULTLESS = target(checked)
RAISES_KEY_ERROR = target(raises_key_error)
HANGS = target(hangs)
ALLOCATES = target(allocates)
HIDES_WHAT_IT_ALLOCATES = target(hides_what_it_allocates)
ACCEPTS_DAMAGE = target(accepts_damage)
DIES = target(dies)
WAITS = target(waits)
RUNS_CODE = target(runs_code)
WRITES_FILES = target(writes_files)
SAYS_NOTHING = target(says_nothing)
