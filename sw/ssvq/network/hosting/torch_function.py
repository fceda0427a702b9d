"""Running an ATen operation on the host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch._ops import OpOverload


@dataclass(frozen=True)
class Operand:
    """Where a Host's operand stands among its operation's arguments."""

    position: int


@dataclass(frozen=True, eq=False)
class TorchFunction:
    """An ATen operation with its arguments, constants among them, but not its operands: a HostFunction.

    Attributes:
        operation: an overload of an operation.
        arguments: by position, with an Operand for each operand, also in lists.
        keywords: likewise by name.
        result: number of the result, None where the operation has one.
    """

    operation: OpOverload
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    result: int | None

    def __call__(self, *operands: Tensor) -> Tensor:
        """The result, or that of the given number."""

        def put(item: object) -> object:
            return operands[item.position] if isinstance(item, Operand) else item

        found = self.operation(*mapped(self.arguments, put), **mapped(dict(self.keywords), put))
        chosen: Tensor = found if self.result is None else found[self.result]
        return chosen


def mapped(item: Any, change: Callable[[Any], Any]) -> Any:
    """A structure of lists, tuples and dicts with every other item changed."""
    if isinstance(item, list | tuple):
        return type(item)(mapped(part, change) for part in item)
    if isinstance(item, dict):
        return {key: mapped(part, change) for key, part in item.items()}
    return change(item)
