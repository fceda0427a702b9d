"""What of a memory plan is what, and how much is in use when."""

from __future__ import annotations

from dataclasses import dataclass

from ssvq.network.program.emission import CompiledNetwork
from ssvq.network.program.memory_plan import Lifetime, MemoryPlan

KINDS = ("input", "activation", "constant", "parameters", "table", "output")
"""Of what is in the activation memory: tensors of the network's inputs and outputs, between them, that are part of the
model; parameters and tables of vector operations."""


@dataclass(frozen=True, kw_only=True)
class Peak:
    """The step with most words in use."""

    step: int
    words: int


def kinds_of(made: CompiledNetwork) -> dict[str, str]:
    """One of `KINDS` for each lifetime of the plan, by name."""
    network = made.network
    inputs = {own.tensor for own in network.inputs}
    outputs = {view.tensor for view in network.outputs.values()}

    def kind(name: str) -> str:
        tensor = network.tensors.get(name)
        if tensor is None:
            last = name.rpartition(" ")[2]
            return last if last in ("parameters", "table") else "activation"
        if tensor.values is not None:
            return "constant"
        return "output" if name in outputs else "input" if name in inputs else "activation"

    return {own.name: kind(own.name) for own in made.plan.lifetimes}


def in_use(plan: MemoryPlan, step: int) -> tuple[Lifetime, ...]:
    """What is in the memory in a step, from the lowest word on."""
    found = [own for own in plan.lifetimes if own.first <= step <= own.last]
    return tuple(sorted(found, key=lambda own: plan.places[own.name]))


def words_by_step(plan: MemoryPlan) -> list[int]:
    """Words in use in each step; a last entry is for the outputs."""
    changes = [0] * (max((own.last for own in plan.lifetimes), default=0) + 2)
    for own in plan.lifetimes:
        changes[own.first] += own.words
        changes[own.last + 1] -= own.words
    found, words = [], 0
    for change in changes[:-1]:
        words += change
        found.append(words)
    return found


def peak(plan: MemoryPlan) -> Peak:
    """The first step with most words in use."""
    words = words_by_step(plan)
    return Peak(step=words.index(max(words)), words=max(words))


def scope_of(layer: str) -> str:
    """The part of a model that a layer is in: the beginning of its name, to the first number: `blocks.0`."""
    parts = layer.split(".")
    for number, part in enumerate(parts):
        if part.isdigit():
            return ".".join(parts[: number + 1])
    return parts[0]


def share(words: int, depth: int) -> str:
    """A part of the memory for a text."""
    return f"{words:,} of {depth:,} words ({words / depth:.0%})"
