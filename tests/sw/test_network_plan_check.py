"""Plans and programs that are not those of their network are refused; those that the compiler makes are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from convolutional_networks import compiled, samples_of, seeded
from test_network_file import TINY, transformer
from test_network_images import NETWORKS

from ssvq.network import GraphError
from ssvq.network.files.network_check import check_network
from ssvq.network.files.plan_check import check_plan
from ssvq.network.integer.integer_network import ImageStep
from ssvq.network.program.emission import CompiledNetwork
from ssvq.network.program.memory_plan import MemoryPlan


@pytest.fixture(scope="module")
def made() -> CompiledNetwork:
    (part,) = transformer().network.core_parts
    return part.compiled


@pytest.mark.parametrize(
    ("name", "memory"), [("mobile", 1 << 20), ("basic", 1 << 12), ("mixed", 1 << 11), ("decoder", 1 << 11)]
)
def test_what_the_compiler_makes(name: str, memory: int) -> None:
    """With all in the memory, and in bands."""
    make, shape = NETWORKS[name]
    config = TINY.replace(activation_bytes=memory)
    found = compiled(seeded(make), samples_of(shape), config)
    assert any(" band " in step.name for step in found.network.steps) == (memory < 1 << 20)
    check_network(found.network)
    check_plan(found, config)


def planned(made: CompiledNetwork, number: int = 0, **changes: Any) -> MemoryPlan:
    plan = made.plan
    own = replace(plan.lifetimes[number], **changes)
    return replace(plan, lifetimes=(*plan.lifetimes[:number], own, *plan.lifetimes[number + 1 :]))


def placed(made: CompiledNetwork, word: int) -> MemoryPlan:
    return replace(made.plan, places=dict(made.plan.places) | {made.plan.lifetimes[0].name: word})


CHANGES: list[tuple[Callable[[CompiledNetwork], MemoryPlan], str]] = [
    (
        lambda made: replace(made.plan, depth=1 << 40),
        "plan: the activation memory of tiny has 2048 words, not 1099511627776",
    ),
    (lambda made: planned(made, name="[bold]"), "plan: each lifetime must have a name of its own, and a place"),
    (lambda made: planned(made, name=made.plan.lifetimes[1].name), "a name of its own"),
    (lambda made: planned(made, last=1 << 40), "must be those of the network"),
    (lambda made: planned(made, first=-1), "must be those of the network"),
    (lambda made: planned(made, words=0), "must be within the 2048 of the memory"),
    (lambda made: planned(made, words=made.plan.lifetimes[0].words + 1), "the plan must have its"),
    (lambda made: placed(made, -1), "must be within the 2048"),
    (lambda made: placed(made, 2048), "must be within the 2048"),
    (lambda made: placed(made, made.plan.places[made.plan.lifetimes[1].name]), "in the same steps"),
]


@pytest.mark.parametrize(("change", "rule"), CHANGES)
def test_a_plan_that_is_none_of_the_network(
    change: Callable[[CompiledNetwork], MemoryPlan], rule: str, made: CompiledNetwork
) -> None:
    check_plan(made, TINY)
    with pytest.raises(GraphError, match=rule.replace("[", r"\[")):
        check_plan(replace(made, plan=change(made)), TINY)


def test_a_program_must_move_inputs_and_outputs(made: CompiledNetwork) -> None:
    jobs = made.program.jobs
    for number, name in ((0, jobs[0].name), (-1, jobs[-1].name)):
        wrong = [*jobs]
        wrong[number] = replace(jobs[number], name="other")
        with pytest.raises(GraphError, match=f"program: there must be a job '{name}'"):
            check_plan(replace(made, program=replace(made.program, jobs=tuple(wrong))), TINY)


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("rows", (0, 1 << 40), "rows 0 to"),
        ("rows", (1, 1), "rows 1 to 1"),
        ("width", 1 << 40, "1 to 4095 rows and columns"),
        ("padding", (1 << 30, 0, 0, 0), "padding must be at most 4095"),
        ("stride", (8, 1), "stride must be at most 7"),
        ("dilation", (1, 16), "dilation must be at most 15"),
    ],
)
def test_images_are_within_reach(field: str, value: Any, rule: str) -> None:
    make, shape = NETWORKS["mobile"]
    network = compiled(seeded(make), samples_of(shape), TINY.replace(activation_bytes=1 << 20)).network
    (number, step), *_ = [(n, own) for n, own in enumerate(network.steps) if isinstance(own, ImageStep)]
    if field in ("rows", "width"):
        wrong = replace(step, **{field: value})
    else:
        geometry = replace(step.operation.geometry, **{field: value})
        wrong = replace(step, operation=replace(step.operation, geometry=geometry))
    with pytest.raises(GraphError, match=rule):
        check_network(replace(network, steps=(*network.steps[:number], wrong, *network.steps[number + 1 :])))
