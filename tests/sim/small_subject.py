"""A network of two layers, small enough for tests."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ssvq.network import graph_of
from ssvq_gen.config import PRESETS
from ssvq_sim.networks.metrics import COSINE, TOP_ONE
from ssvq_sim.networks.subject import INT8, Case, Part, Sample, Subject, ssvq


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(16, 24), nn.Linear(24, 8)

    def forward(self, x: Tensor) -> Tensor:
        """(1, T, 16) to (1, T, 8)."""
        scores: Tensor = self.second(torch.relu(self.first(x)))
        return scores


def small_subject(simulated: int = 0) -> Subject:
    """Two samples."""
    model = Net().eval()
    generator = torch.Generator().manual_seed(1)
    inputs = [torch.randn(1, 3, 16, generator=generator) for _ in range(2)]
    with torch.no_grad():
        labels = [int(model(one).flatten().argmax()) for one in inputs]
    part = Part(
        graph=graph_of(model, (inputs[0],)),
        samples=tuple(Sample(inputs=(one,), label=label) for one, label in zip(inputs, labels, strict=True)),
        calibration=tuple((one,) for one in inputs),
    )
    cases = [
        Case(config=PRESETS["tiny"], weights=weights, rates=(2, 4, 8), simulated=simulated, weighted=weighted)
        for weights, weighted in ((INT8, False), (ssvq(4, 8), True))
    ]
    metrics = (COSINE, TOP_ONE)
    return Subject(name="small", parts=(part,), metrics=metrics, cases=tuple(cases), host_operators=("reading",))
