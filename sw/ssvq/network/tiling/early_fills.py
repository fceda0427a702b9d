"""Copies from DRAM before the steps that wait for them, so that they are on the bus while the core computes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ssvq.network.errors import GraphError
from ssvq.network.integer.integer_network import IntegerNetwork, Step, TransferStep
from ssvq.network.program.emission import plan
from ssvq_gen.config import CoreConfig

DISTANCES = (8, 4, 2)
"""Steps by which copies are made earlier: the first of these with which all finds room; not at all with none."""


def with_early_fills(network: IntegerNetwork, config: CoreConfig) -> IntegerNetwork:
    """The same network with its copies from DRAM as early as there is room for them."""
    if not any(_is_fill(network, step) for step in network.steps):
        return network
    for distance in DISTANCES:
        moved = early_fills(network, distance)
        try:
            plan(moved, config)
        except GraphError:
            continue
        return moved
    return network


def early_fills(network: IntegerNetwork, distance: int) -> IntegerNetwork:
    """Every copy from DRAM up to `distance` steps earlier, in their order, and after what writes there."""
    steps: list[Step] = []
    for step in network.steps:
        at = len(steps)
        if isinstance(step, TransferStep) and _is_fill(network, step):
            at = max(at - distance, _after_last(network, steps, step.source.tensor))
        steps.insert(at, step)
    return replace(network, steps=tuple(steps))


def _after_last(network: IntegerNetwork, steps: Sequence[Step], tensor: str) -> int:
    """The first place after all copies from DRAM, and all that write a tensor there."""
    for number in range(len(steps), 0, -1):
        step = steps[number - 1]
        if isinstance(step, TransferStep) and (_is_fill(network, step) or step.target.tensor == tensor):
            return number
    return 0


def _is_fill(network: IntegerNetwork, step: Step) -> bool:
    return isinstance(step, TransferStep) and network.tensors[step.source.tensor].in_dram
