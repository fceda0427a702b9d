"""Steps of layers whose names are those that heads, columns and bands of other layers get."""

from __future__ import annotations

from dataclasses import replace

import torch
from test_network_lowering import INT8
from torch import Tensor, nn
from torch.nn import functional

from ssvq.network import graph_of
from ssvq.network.calibration import calibrate
from ssvq.network.compilation import compile_network
from ssvq.network.compression import compress_graph
from ssvq.network.integer.step_names import with_unique_names
from ssvq.network.program.emission import CompiledNetwork
from ssvq_gen.config import PRESETS


class Parent(nn.Linear):
    """A layer that has layers within, so that `fc` and `fc.0` are both layers."""

    def __init__(self, *names: str) -> None:
        super().__init__(64, 64)
        for name in names:
            self.add_module(name, nn.Linear(64, 64))


class Adversarial(nn.Module):
    """Its first layer goes through a table, in four parts."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = names
        self.fc = Parent(*names)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.gelu(self.fc(x))
        for name in self.names:
            x = x + self.fc.get_submodule(name)(x)
        return x


def compiled(*names: str) -> tuple[CompiledNetwork, Tensor]:
    torch.manual_seed(0)
    x = torch.randn(1, 6, 64)
    graph = graph_of(Adversarial(*names), (x,))
    layers = compress_graph(graph, lambda node: INT8)
    return compile_network(graph, calibrate(graph, [(x,)]), layers, PRESETS["tiny"]), x


def test_names_of_parts_are_not_those_of_layers() -> None:
    made, x = compiled("0", "1 (2)", "1")
    other, _ = compiled("a", "b", "c")
    steps = [step.name for step in made.network.steps]
    assert len(steps) == len(other.network.steps) == len(set(steps))
    assert {"fc.0", "fc.1", "fc.0 (2)"} <= set(steps)
    jobs = [job.name for job in made.program.jobs]
    assert len(jobs) == len(set(jobs))
    results = []
    for network in (made.network, other.network):
        results.append(network.output(network.run(network.quantize_inputs(x.numpy())), "output"))
    assert (results[0] == results[1]).all()


def test_names_that_are_taken() -> None:
    network = compiled("a")[0].network
    first, second, third, *_ = network.steps
    given = replace(
        network, steps=(replace(first, name="x"), replace(second, name="x"), replace(third, name="x (2)"), third, third)
    )
    names = [step.name for step in with_unique_names(given, ["x", third.name]).steps]
    assert len({*names, "x", third.name}) == 7
    assert names[2] == "x (2)"
    free = with_unique_names(network)
    assert [step.name for step in free.steps] == [step.name for step in network.steps]
