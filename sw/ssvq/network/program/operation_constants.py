"""Parameters and tables of vector operations: which are in the activation memory, and from which step to which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ssvq.channel_operation import ChannelOperation
from ssvq.network.integer.integer_network import ImageStep, Step, VectorStep
from ssvq.vector_image import Bytes, parameter_words, table_words
from ssvq_gen.config import CoreConfig


@dataclass(frozen=True, kw_only=True, eq=False)
class OperationConstant:
    """Words that operations take, uint8 (count, `word_bytes`), and the first and the last step that take them."""

    name: str
    words: Bytes
    first: int
    last: int


class ConstantNames(NamedTuple):
    """What a step takes, None for nothing; a table that the vector unit still has is none."""

    parameters: str | None
    table: str | None


@dataclass(frozen=True, kw_only=True, eq=False)
class OperationConstants:
    """All constants of a network's operations, and those of each step by its name."""

    constants: tuple[OperationConstant, ...]
    names: Mapping[str, ConstantNames]


def operation_of(step: Step) -> ChannelOperation | None:
    """What the vector unit does in a step."""
    operation = step.operation if isinstance(step, VectorStep | ImageStep) else None
    return operation if isinstance(operation, ChannelOperation) else None


def operation_constants(steps: Sequence[Step], config: CoreConfig) -> OperationConstants:
    """Parameters and tables have the name of the first step of their operation, and serve all its steps."""
    found: dict[str, OperationConstant] = {}
    owners: dict[int, str] = {}
    names: dict[str, ConstantNames] = {}
    kept = b""
    for number, step in enumerate(steps):
        names[step.name] = ConstantNames(None, None)
        if (operation := operation_of(step)) is None:
            continue
        owner = owners.setdefault(id(operation), step.name)
        wanted = {"parameters": parameter_words(operation, config), "table": table_words(operation, config)}
        if wanted["table"].tobytes() == kept:
            del wanted["table"]
        elif len(wanted["table"]):
            kept = wanted["table"].tobytes()
        taken = {part: f"{owner} {part}" for part, words in wanted.items() if len(words)}
        for part, name in taken.items():
            before = found.get(name, OperationConstant(name=name, words=wanted[part], first=number, last=number))
            found[name] = replace(before, last=number)
        names[step.name] = ConstantNames(taken.get("parameters"), taken.get("table"))
    return OperationConstants(constants=tuple(found.values()), names=names)
