"""Parameters and tables of vector operations: which are in the activation memory, and from which step to which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ssvq.channel_operation import ChannelOperation
from ssvq.network.integer_network import ImageStep, Step, VectorStep
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
        if (operation := operation_of(step)) is None:
            continue
        owner = owners.setdefault(id(operation), step.name)
        table = table_words(operation, config)
        is_wanted = len(table) > 0 and table.tobytes() != kept
        kept = table.tobytes() if is_wanted else kept
        taken = []
        for part, words in (("parameters", parameter_words(operation, config)), ("table", table[: is_wanted * 256])):
            name = f"{owner} {part}"
            if len(words):
                before = found.get(name, OperationConstant(name=name, words=words, first=number, last=number))
                found[name] = replace(before, last=number)
            taken.append(name if len(words) else None)
        names[step.name] = ConstantNames(*taken)
    return OperationConstants(constants=tuple(found.values()), names=names)
