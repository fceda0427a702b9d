"""Steps that have their names to themselves."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ssvq.network.integer.integer_network import IntegerNetwork, Step


def with_unique_names(network: IntegerNetwork, taken: Collection[str] = ()) -> IntegerNetwork:
    """The network with a number behind names of steps that an earlier step, or one of `taken`, has.

    Heads, columns and bands have names that are made of their layer's, and another layer may have just such a name.
    """
    used = set(taken)
    wanted = {step.name for step in network.steps}
    steps: list[Step] = []
    for step in network.steps:
        name, number = step.name, 1
        while name in used or (number > 1 and name in wanted):
            number += 1
            name = f"{step.name} ({number})"
        used.add(name)
        steps.append(step if name == step.name else replace(step, name=name))
    return replace(network, steps=tuple(steps))
