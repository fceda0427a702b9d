"""Windows against PyTorch's, and bands that cover an output."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssvq.convolution_geometry import Band, ConvolutionGeometry, split_bands
from ssvq_gen.config import PRESETS
from ssvq_sim.systems.strategies import geometries


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_windows_are_those_of_unfold(data: st.DataObject) -> None:
    height, width, channels = (data.draw(st.integers(1, 9)) for _ in range(3))
    geometry = data.draw(geometries(height=height, width=width))
    image = np.random.default_rng(height).integers(-128, 128, (height, width, channels), dtype=np.int8)
    top, bottom, left, right = geometry.padding
    padded = torch.nn.functional.pad(torch.from_numpy(image).permute(2, 0, 1)[None].float(), (left, right, top, bottom))
    columns = torch.nn.functional.unfold(padded, geometry.kernel, dilation=geometry.dilation, stride=geometry.stride)
    windows = geometry.windows(image, 0)
    assert windows.shape[:2] == geometry.output_size(height, width)
    expected = columns[0].reshape(channels, *geometry.kernel, *windows.shape[:2]).permute(3, 4, 1, 2, 0)
    np.testing.assert_array_equal(windows, expected.numpy())
    by_position = np.stack(list(geometry.shifted(image, 0)), axis=2)
    np.testing.assert_array_equal(by_position.reshape(windows.shape), windows)


def test_padding_has_its_value() -> None:
    windows = ConvolutionGeometry(kernel=(1, 1), padding=(1, 0, 0, 2)).windows(np.zeros((1, 1, 2), dtype=np.int8), -5)
    np.testing.assert_array_equal(windows[:, :, 0, 0, 1], [[-5, -5, -5], [0, -5, -5]])


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"kernel": (0, 3)}, r"kernel must be 2 numbers of at least 1, not \(0, 3\)"),
        ({"stride": (1, 0)}, "stride must be 2 numbers of at least 1"),
        ({"dilation": (1,)}, "dilation must be 2 numbers of at least 1"),
        ({"padding": (0, 0, -1, 0)}, "padding must be 4 numbers of at least 0"),
    ],
)
def test_geometries_that_cannot_be(changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        ConvolutionGeometry(**{"kernel": (3, 3), **changes})


def test_an_image_that_is_too_small() -> None:
    geometry = ConvolutionGeometry(kernel=(3, 3), dilation=(1, 3), padding=(0, 0, 1, 1))
    assert geometry.output_size(3, 5) == (1, 1)
    with pytest.raises(ValueError, match="a padded image of 6 pixels has no window of 7"):
        geometry.output_size(3, 4)


@given(depth_log2=st.integers(2, 6), height=st.integers(1, 40), width=st.integers(1, 90))
def test_bands_cover_the_output_in_order(depth_log2: int, height: int, width: int) -> None:
    config = PRESETS["tiny"].replace(accumulator_depth=1 << depth_log2)
    bands = split_bands(config, height, width)
    order = [
        (y, x)
        for band in bands
        for y in range(band.y, band.y + band.height)
        for x in range(band.x, band.x + band.width)
    ]
    assert order == [(y, x) for y in range(height) for x in range(width)]
    assert max(band.pixels for band in bands) <= config.accumulator_depth
    rows_at_once = config.accumulator_depth // width
    parts = -(-width // config.accumulator_depth)
    assert len(bands) == (-(-height // rows_at_once) if rows_at_once else height * parts)


def test_bands_are_even() -> None:
    config = PRESETS["tiny"]
    assert [band.height for band in split_bands(config, 7, 20)] == [2, 2, 3]
    assert split_bands(config, 1, 65) == [Band(y=0, x=0, height=1, width=32), Band(y=0, x=32, height=1, width=33)]
    with pytest.raises(ValueError, match="an output must have at least one pixel, not 0 x 4"):
        split_bands(config, 0, 4)
