"""Channels of one value that differ much in size: a gain for each, where only sums and norms take them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_network_lowering import INT8, compiled, outputs_of, run_program
from torch import Tensor, nn

from ssvq.network import graph_of
from ssvq.network.calibration import ValueRange, calibrate
from ssvq.network.integer.channel_gains import channel_gains
from ssvq.network.integer.value_scales import value_scales
from ssvq_gen.config import PRESETS
from ssvq_gen.vector_arithmetic import GAIN_SHIFT_MAX


class PostNorm(nn.Module):
    """A residual around a layer whose third channel is far larger than the others, and a norm after the sum."""

    def __init__(self, outlier: float) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first, self.norm = nn.Linear(16, 16), nn.LayerNorm(16)
        self.last = nn.Linear(16, 8)
        with torch.no_grad():
            self.first.weight[2] *= outlier

    def forward(self, x: Tensor) -> Tensor:
        """(1, T, 16) to (1, T, 8)."""
        normed: Tensor = self.norm(self.first(x) + x)
        return torch.as_tensor(self.last(normed))


def samples(count: int = 4) -> list[tuple[Tensor]]:
    return [(torch.randn(1, 12, 16, generator=torch.Generator().manual_seed(n)),) for n in range(count)]


def found_gains(model: nn.Module) -> dict[str, tuple[float, ...]]:
    graph = graph_of(model.eval(), samples()[0])
    return channel_gains(graph, calibrate(graph, samples()))


def test_channels_that_are_alike_have_no_gains() -> None:
    assert found_gains(PostNorm(1.0)) == {}


def test_only_what_sums_and_norms_take_has_gains() -> None:
    gains = found_gains(PostNorm(100.0))
    assert set(gains) == {"first", "add"}
    for own in gains.values():
        assert np.argmax(own) == 2
        assert own[2] == 1 << GAIN_SHIFT_MAX
        assert all(gain == 2 ** round(np.log2(gain)) and 1 <= gain <= own[2] for gain in own)


def test_no_channel_saturates_and_steps_are_fine() -> None:
    graph = graph_of(PostNorm(100.0).eval(), samples()[0])
    ranges = calibrate(graph, samples())
    scale = value_scales(graph, ranges)["add"]
    reach = np.asarray(ranges["add"].reach)
    assert scale.zero_point == 0
    assert (127 * scale.steps() >= reach * (1 - 1e-6)).all()
    assert scale.steps().min() < scale.steps().max() / 16


def test_a_step_of_a_sum_is_not_much_finer_than_one_of_an_operand() -> None:
    """Else the core's multipliers would not reach, as where an operand that has no gains is much larger than a sum."""
    graph = graph_of(PostNorm(100.0).eval(), samples()[0])
    ranges = dict(calibrate(graph, samples()))
    ranges["x"] = ValueRange(low=-300.0, high=300.0)
    scales = value_scales(graph, ranges)
    assert (scales["x"].scale / scales["add"].steps() <= 4).all()
    assert (scales["first"].steps() / scales["add"].steps() <= 4).all()


def worst_error(model: nn.Module) -> float:
    """Of outputs, over the largest output; what the core computes is as the golden model says."""
    made = compiled(model, samples(), PRESETS["tiny"], INT8)
    worst = 0.0
    for sample in samples():
        run_program(made, sample, PRESETS["tiny"])
        (found,) = outputs_of(made.network, sample).values()
        expected = model(*sample).detach().numpy()
        worst = max(worst, float(np.abs(found - expected).max() / np.abs(expected).max()))
    return worst


def test_the_core_computes_with_gains(monkeypatch: pytest.MonkeyPatch) -> None:
    model = PostNorm(30.0).eval()
    error = worst_error(model)
    monkeypatch.setattr("ssvq.network.integer.channel_gains.OUTLIER_RATIO", np.inf)
    assert error < worst_error(model) / 2


class Output(PostNorm):
    """The sum is an output, too."""

    def forward(self, x: Tensor) -> Tensor:
        """(1, T, 16) to the same."""
        total: Tensor = self.first(x) + x
        return total


def test_an_output_has_no_gains() -> None:
    assert "add" not in found_gains(Output(100.0))


def test_ranges_of_several_samples_hold_the_reach_of_all() -> None:
    first, second = ValueRange(low=-1, high=2, reach=(1.0, 2.0)), ValueRange(low=-3, high=1, reach=(3.0, 0.5))
    assert first.union(second) == ValueRange(low=-3, high=2, reach=(3.0, 2.0))
    assert first.union(ValueRange(low=0, high=1)).reach == ()
