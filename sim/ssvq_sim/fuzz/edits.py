"""Changes to trees and to bytes, as data, so that a run can be repeated and Hypothesis can make them smaller."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from .target import Tree

Action = Literal["replace", "nudge", "remove", "double", "copy"]
ACTIONS: tuple[Action, ...] = get_args(Action)
_BYTE_VALUES = (b"", b"\0", b"\xff" * 8, b"\xff" * 4, b"\0" * 8, b"{", b'"', b"[" * 3000, b"\n", b"=", b"9" * 400)
_NEST = 80


def _nested(depth: int) -> list[Any]:
    return [] if depth == 0 else [_nested(depth - 1)]


VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 7, 255, 256, 1 << 16, (1 << 31) - 1, 1 << 31, 1 << 32, 1 << 40),
    *((1 << 63) - 1, 1 << 63, 1 << 64, -(1 << 63), 10**30, 10**400),
    *(0.0, -0.0, 0.5, -1.5, 1e-320, 1e308, float("inf"), float("-inf"), float("nan")),
    *("", "a", "0", "-1", "float", "F64", "BF16", "\0", "é", "\ud800", "\u2028", "[bold]", "../../x", "x" * 3000),
    *([], {}, [0], [[]], [None], [1, 2], [-1, 1], [1 << 40, 1], [0.5], ["a"], {"": None}, {"a": 1}, {"kind": "a"}),
    *(_nested(_NEST), b"", b"\0"),
)
"""What stands in a file where nobody expects it."""


@dataclass(frozen=True, kw_only=True)
class Edit:
    """A change at one place.

    Parameters
    ----------
    place : number of the place, of as many as there are (modulo)
    action : what is done there
    value : number of what it is done with: of `VALUES`, or of another place
    """

    place: int
    action: Action
    value: int


def drawn_edit(chance: random.Random) -> Edit:
    """An edit from a source of chance."""
    return Edit(place=chance.getrandbits(32), action=chance.choice(ACTIONS), value=chance.getrandbits(32))


def places(tree: Tree) -> Iterator[tuple[Any, Any]]:
    """Every dict or list of a tree, with each key or index of it."""
    for key in list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        yield tree, key
        yield from places(tree[key])


def edited(tree: Tree, edits: Sequence[Edit]) -> Tree:
    """A copy of a tree with all edits made, one after the other."""
    tree = copy.deepcopy(tree)
    for edit in edits:
        found = list(places(tree))
        if found:
            inside, key = found[edit.place % len(found)]
            other, place = found[edit.value % len(found)]
            _change(inside, key, edit, copy.deepcopy(other[place]))
    return tree


def _change(inside: Any, key: Any, edit: Edit, other: Tree) -> None:
    if edit.action == "remove":
        del inside[key]
    elif edit.action == "copy":
        inside[key] = other
    elif edit.action == "nudge":
        inside[key] = nudged(inside[key], edit.value)
    elif edit.action == "replace":
        inside[key] = copy.deepcopy(VALUES[edit.value % len(VALUES)])
    elif isinstance(inside, list):
        inside.insert(key, copy.deepcopy(inside[key]))
    else:
        inside[f"{key}2"] = copy.deepcopy(inside[key])


def nudged(value: Tree, number: int) -> Tree:
    """Something near a value, which a reader is more likely to take."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return (value + 1, value - 1, -value, 2 * value, value ^ (1 << number % 40), 0)[number % 6]
    if isinstance(value, float):
        return (value * 2, -value, value + 1, int(value) if abs(value) < 1e9 else 0, 1 / value if value else 1.0)[
            number % 5
        ]
    if isinstance(value, str):
        return (value + "x", value[:-1], value.upper(), value + "\n", value[::-1])[number % 5]
    if isinstance(value, bytes):
        return damaged(value, [Edit(place=number >> 8, action=ACTIONS[number % len(ACTIONS)], value=number >> 4)])
    if isinstance(value, list):
        return (value[:-1], [*value, *value[:1]], value[::-1])[number % 3]
    return value


def damaged(data: bytes, edits: Sequence[Edit]) -> bytes:
    """Bytes with all edits made: overwritten, one bit turned, cut off behind a place, doubled, copied over another."""
    for edit in edits:
        place = edit.place % (len(data) + 1)
        new = _BYTE_VALUES[edit.value % len(_BYTE_VALUES)]
        if edit.action == "replace":
            data = data[:place] + new + data[place + len(new) :]
        elif edit.action == "nudge":
            data = (
                data[:place]
                + bytes(byte ^ (1 << edit.value % 8) for byte in data[place : place + 1])
                + data[place + 1 :]
            )
        elif edit.action == "remove":
            data = data[:place] if edit.value % 2 else data[:place] + data[place + 1 + edit.value % 8 :]
        elif edit.action == "double":
            data = data[:place] + data[place : place + edit.value % 64] + data[place:]
        else:
            part = data[edit.value % (len(data) + 1) :][:8]
            data = data[:place] + part + data[place + len(part) :]
    return data
