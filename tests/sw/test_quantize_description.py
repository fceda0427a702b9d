"""Layouts of weights: canonical shapes, rows, and the rules of a layer's geometry."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch.nn import functional

from ssvq.quantize import LayerDescription, LayerError, WeightFormat, canonical_weight, from_canonical
from ssvq.quantize.description import from_rows, to_rows


@settings(max_examples=50, deadline=None)
@given(
    groups=st.integers(1, 4),
    outputs=st.integers(1, 4),
    inputs=st.integers(1, 4),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_canonical_weights_of_transposed_convolutions(
    groups: int, outputs: int, inputs: int, kernel: tuple[int, int]
) -> None:
    weight = torch.randn(groups * inputs, outputs, *kernel)
    canonical = canonical_weight(weight, "conv_transpose2d", groups)
    assert canonical.shape == (groups * outputs, inputs, *kernel)
    for g in range(groups):
        for n in range(outputs):
            for k in range(inputs):
                assert torch.equal(canonical[g * outputs + n, k], weight[g * inputs + k, n])
    assert torch.equal(from_canonical(canonical, "conv_transpose2d", groups), weight)
    assert torch.equal(from_rows(to_rows(canonical), tuple(canonical.shape)), canonical)


def test_a_transposed_convolution_multiplies_canonical_weights() -> None:
    """One input pixel: the output is the kernel, as it is stored."""
    canonical = torch.randn(6, 2, 3, 3)
    x = torch.randn(1, 4, 1, 1)
    y = functional.conv_transpose2d(x, from_canonical(canonical, "conv_transpose2d", 2), groups=2)
    for n in range(6):
        inputs = x[0, 2 * (n // 3) : 2 * (n // 3) + 2]
        torch.testing.assert_close(y[0, n], (inputs * canonical[n]).sum(0))


@pytest.mark.parametrize(("kind", "shape"), [("linear", (3, 4)), ("conv2d", (4, 3, 2, 2))])
def test_other_weights_are_canonical(kind: Any, shape: tuple[int, ...]) -> None:
    weight = torch.randn(shape)
    assert torch.equal(canonical_weight(weight, kind, 1), weight)
    assert torch.equal(from_canonical(weight, kind, 1), weight)


@pytest.mark.parametrize("convert", [canonical_weight, from_canonical])
@pytest.mark.parametrize("shape", [(4, 2), (5, 2, 1, 1)])
def test_weights_of_other_shapes(convert: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError) as caught:
        convert(torch.ones(shape), "conv_transpose2d", 2)
    rule = "weight must have 4 dimensions, the first a multiple of the 2 groups"
    assert str(caught.value) == f"{rule}, not {shape}"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"output_padding": 2}, "output_padding must be below stride or dilation, not 2"),
        ({"output_padding": -1}, "output_padding must be in 0..2147483647, not -1"),
        ({"kind": "conv2d", "output_padding": 1}, "output_padding must be 0 for a conv2d, not 1"),
        ({"groups": 3}, "groups must divide the 4 output channels, not 3"),
        ({"keep": 2}, "keep must be None for format int8, not 2"),
        ({"codebook_size": 4}, "codebook_size must be None for format int8, not 4"),
        ({"format": WeightFormat.VQ}, "codebook_size must be an int, not None"),
    ],
)
def test_wrong_descriptions(change: dict[str, Any], text: str) -> None:
    valid: dict[str, Any] = {
        "name": "up",
        "kind": "conv_transpose2d",
        "format": WeightFormat.INT8,
        "weight_shape": (4, 2, 3, 3),
        "stride": 2,
        "output_padding": 1,
        "groups": 2,
    }
    LayerDescription(**valid)
    with pytest.raises(LayerError) as caught:
        LayerDescription(**(valid | change))
    assert str(caught.value) == text


@pytest.mark.parametrize(("stride", "dilation", "output_padding"), [(2, 1, 1), (1, 2, 1), (3, 2, 2), (2, 3, 2)])
def test_output_padding_is_what_torch_allows(stride: int, dilation: int, output_padding: int) -> None:
    geometry: dict[str, Any] = {"stride": stride, "dilation": dilation}
    fixed: dict[str, Any] = {"name": "up", "kind": "conv_transpose2d", "format": WeightFormat.INT8}
    for extra in (0, 1):
        module = torch.nn.ConvTranspose2d(2, 2, 2, output_padding=output_padding + extra, **geometry)
        description = {**fixed, **geometry, "weight_shape": (2, 2, 2, 2), "output_padding": output_padding + extra}
        if extra:
            with pytest.raises(RuntimeError):
                module(torch.ones(1, 2, 2, 2))
            with pytest.raises(LayerError):
                LayerDescription(**description)
        else:
            module(torch.ones(1, 2, 2, 2))
            LayerDescription(**description)
