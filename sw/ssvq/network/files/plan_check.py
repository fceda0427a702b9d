"""Whether the memory plan and the program of a compiled network that came from a file belong to it."""

from __future__ import annotations

from ssvq.network.errors import GraphError
from ssvq.network.program.emission import INPUT, OUTPUT, CompiledNetwork
from ssvq.network.program.memory_plan import Lifetime
from ssvq_gen.config import CoreConfig


def check_plan(compiled: CompiledNetwork, config: CoreConfig) -> None:
    """Raises GraphError where a tensor has no room in the core's memory, or the plan is none of the network's.

    Two things whose words and steps meet are an error, too: the program would write over one of them.
    """
    plan, depth = compiled.plan, config.activation_depth
    names = [own.name for own in plan.lifetimes]
    if plan.depth != depth:
        raise GraphError("plan", f"the activation memory of {config.name} has {depth} words, not {plan.depth}")
    if len(set(names)) != len(names) or set(names) != set(plan.places):
        raise GraphError("plan", "each lifetime must have a name of its own, and a place")
    for own in plan.lifetimes:
        place = plan.places[own.name]
        if own.words < 1 or place < 0 or place + own.words > depth:
            raise GraphError(own.name, f"words {place} to {place + own.words} must be within the {depth} of the memory")
        if not 0 <= own.first <= own.last <= len(compiled.network.steps):
            raise GraphError(own.name, f"steps {own.first} to {own.last} must be those of the network")
    planned = {own.name: own for own in plan.lifetimes}
    for name, tensor in compiled.network.tensors.items():
        words = tensor.tokens * -(-tensor.channels // config.word_bytes)
        if tensor.in_dram and words * config.word_bytes > compiled.program.memory_bytes:
            raise GraphError(
                name, f"its {words} words must be within the program's {compiled.program.memory_bytes} bytes"
            )
        if not tensor.in_dram and (name not in planned or planned[name].words != words):
            raise GraphError(name, f"the plan must have its {words} words")
    _check_apart(sorted(plan.lifetimes, key=lambda own: plan.places[own.name]), compiled)
    inputs = {job.name for job in compiled.program.jobs if job.input is not None}
    outputs = {job.name for job in compiled.program.jobs if job.output is not None}
    for wanted, jobs in (
        ([f"{INPUT}{own.name}" for own in compiled.network.inputs], inputs),
        ([f"{OUTPUT}{name}" for name in compiled.network.outputs], outputs),
    ):
        if missing := [name for name in wanted if name not in jobs]:
            raise GraphError("program", f"there must be a job {missing[0]!r}, with what it moves")


def _check_apart(lifetimes: list[Lifetime], compiled: CompiledNetwork) -> None:
    places = compiled.plan.places
    open_: list[Lifetime] = []
    for own in lifetimes:
        open_ = [other for other in open_ if places[other.name] + other.words > places[own.name]]
        for other in open_:
            if other.meets(own):
                raise GraphError(own.name, f"it must not have words of {other.name} in the same steps")
        open_.append(own)
