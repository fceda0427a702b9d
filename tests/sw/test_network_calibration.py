"""Ranges from samples: of all of them together, by shares of values, or by the least error."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ssvq.network import Graph, GraphError, graph_of
from ssvq.network.calibration import ValueRange, calibrate, least_error
from ssvq.reference import ActivationScale


@pytest.fixture(scope="module")
def graph() -> Graph:
    return graph_of(nn.Sequential(nn.Linear(8, 16)).eval(), (torch.zeros(1, 3, 8),))


REST = (0.0,) * 6


def two_values() -> Tensor:
    x = torch.zeros(1, 3, 8)
    x[0, 0, 0], x[0, 0, 1] = -5.0, 3.0
    return x


def test_ranges_are_those_of_all_samples(graph: Graph) -> None:
    x = two_values()
    (name,) = graph.inputs
    assert calibrate(graph, [(x,)])[name] == ValueRange(low=-5.0, high=3.0, reach=(5.0, 3.0, *REST))
    assert calibrate(graph, [(x,), (2 * x,)])[name] == ValueRange(low=-10.0, high=6.0, reach=(10.0, 6.0, *REST))


def test_a_percentile_leaves_outliers_out(graph: Graph) -> None:
    (name,) = graph.inputs
    assert calibrate(graph, [(two_values(),)], percentile=80)[name] == ValueRange(
        low=0.0, high=0.0, reach=(0.0, 0.0, *REST)
    )


def test_constants_keep_their_whole_range(graph: Graph) -> None:
    ranges = calibrate(graph, [(torch.randn(1, 3, 8),)], percentile=60)
    (weight,) = (name for name, constant in graph.constants.items() if constant.ndim == 2)
    assert ranges[weight].low == float(graph.constants[weight].min())


def error(part: ValueRange, values: np.ndarray) -> float:  # type: ignore[type-arg]
    scale = ActivationScale.from_range(part.low, part.high)
    return float(np.square(scale.dequantize(scale.quantize(values)) - values).mean())


def test_the_least_error_clips_rare_outliers() -> None:
    values = np.random.default_rng(0).normal(size=1_000_000).astype(np.float32)
    values[0] = 12.0
    whole = ValueRange(low=float(values.min()), high=float(values.max()))
    found = least_error(whole, values)
    assert found.high < 8
    assert error(found, values) < 0.8 * error(whole, values)


def test_the_least_error_keeps_a_range_that_is_full() -> None:
    values = np.linspace(-1, 1, 1001, dtype=np.float32)
    assert least_error(ValueRange(low=-1.0, high=1.0), values) == ValueRange(low=-1.0, high=1.0)


def test_calibrate_by_error(graph: Graph) -> None:
    x = torch.randn(1, 3, 8, generator=torch.Generator().manual_seed(0))
    (name,) = graph.inputs
    found = calibrate(graph, [(x,), (0.5 * x,)], clip="mse")[name]
    values = torch.cat([x, 0.5 * x]).numpy().reshape(-1)
    reach = tuple(x.abs().amax((0, 1)).tolist())
    whole = ValueRange(low=float(values.min()), high=float(values.max()), reach=reach)
    assert found == least_error(whole, values)


def test_a_value_that_is_infinite_has_no_range() -> None:
    class Masked(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.where(x > 0, x, -torch.inf).exp()

    masked = graph_of(Masked().eval(), (torch.zeros(1, 4),))
    infinite, finite = (torch.tensor([[0.5, -1, 2, 3]]),), (torch.ones(1, 4),)
    for samples in ([infinite, finite], [finite, infinite]):
        for clip in ("percentile", "mse"):
            ranges = calibrate(masked, samples, clip=clip)  # type: ignore[arg-type]
            (where,) = (node.operands[0] for node in masked.nodes if node.name == masked.outputs["output"])
            assert where not in ranges
            assert ranges[masked.outputs["output"]].high == pytest.approx(np.exp(3), rel=0.3)


def test_bad_input(graph: Graph) -> None:
    with pytest.raises(GraphError, match=r"^calibration: there must be at least one sample$"):
        calibrate(graph, [])
    with pytest.raises(ValueError, match="percentile must be above 50 and at most 100, not 50"):
        calibrate(graph, [(torch.zeros(1, 3, 8),)], percentile=50)
    with pytest.raises(ValueError, match="clip must be one of percentile, mse, not 'max'"):
        calibrate(graph, [(torch.zeros(1, 3, 8),)], clip="max")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"percentile must be 100 with clip 'mse', not 99\.9"):
        calibrate(graph, [(torch.zeros(1, 3, 8),)], clip="mse", percentile=99.9)
    with pytest.raises(GraphError, match="its values must be finite for the samples"):
        calibrate(graph, [(torch.full((1, 3, 8), torch.nan),)])


@pytest.mark.parametrize("sign", [1, -1])
def test_the_least_error_of_values_on_one_side_of_zero(sign: int) -> None:
    values = sign * np.linspace(0.9, 1.0, 100, dtype=np.float32)
    found = least_error(ValueRange(low=float(values.min()), high=float(values.max())), values)
    assert found.low <= 0 <= found.high
    # without clipping: all values are as likely
    assert max(abs(found.low), abs(found.high)) == pytest.approx(1.0)
