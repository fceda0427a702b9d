"""The windows of a descriptor: its fields, and the words that they lead to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import FIELD_BY_NAME

from .convolution_geometry import Band, ConvolutionGeometry
from .image_tensor import ImageTensor

SOURCE_WIDTH = FIELD_BY_NAME["source"].width
_KERNEL_WIDTH_MAX = FIELD_BY_NAME["kernel_width"].bounds[1]
_ADDRESS_WIDTH = SOURCE_WIDTH + 1
"""Bits of the core's addresses: with a `source` below zero they wrap."""


def fields(geometry: ConvolutionGeometry, image: ImageTensor, band: Band) -> dict[str, int]:
    """Descriptor fields of the windows of a band of output pixels, those that CONV, POOL and DEPTHWISE have."""
    top, _, left, _ = geometry.padding
    y, x = band.y * geometry.stride[0] - top, band.x * geometry.stride[1] - left
    return {
        "source": image.pixel(y, x) % (1 << SOURCE_WIDTH),
        "tokens": band.pixels,
        "input_stride": image.stride,
        "row_stride": image.row_stride,
        "input_height": image.height,
        "input_width": image.width,
        "output_width": band.width,
        "origin_y": y,
        "origin_x": x,
        "stride_y": geometry.stride[0],
        "stride_x": geometry.stride[1],
        "dilation_y": geometry.dilation[0],
        "dilation_x": geometry.dilation[1],
        "kernel_width": geometry.kernel[1],
    }


def folded(geometry: ConvolutionGeometry, image: ImageTensor) -> tuple[ConvolutionGeometry, ImageTensor]:
    """The same window where it is the whole of an image without gaps and too wide for a descriptor: one column."""
    whole = geometry.kernel == (image.height, image.width) and geometry.dilation == (1, 1) and not any(geometry.padding)
    if geometry.kernel[1] <= _KERNEL_WIDTH_MAX or not whole or image.row_stride != image.width * image.stride:
        return geometry, image
    column = replace(image, height=geometry.positions, width=1, row_stride=image.stride)
    return ConvolutionGeometry(kernel=(geometry.positions, 1)), column


def words(config: CoreConfig, d: Mapping[str, int], tiles: range) -> npt.NDArray[np.int64]:
    """Words that k tiles of a CONV read, those of the pixels inside the image; addresses that wrap are too large."""
    places = {(k // d["channel_tiles"], k % d["channel_tiles"] * config.rows // config.word_bytes) for k in tiles}
    position, word = np.array(sorted(places), dtype=np.int64).T[:, :, None]
    return _pixels(d, position, word)


def vector_words(d: Mapping[str, int], count: int) -> npt.NDArray[np.int64]:
    """Words that a POOL or DEPTHWISE of pixels of `count` words reads, as `words`."""
    positions = np.arange(d["kernel_height"] * d["kernel_width"], dtype=np.int64)
    return np.concatenate([_pixels(d, positions[:, None], np.int64(word)) for word in range(count)])


def _pixels(
    d: Mapping[str, int], position: npt.NDArray[np.int64], word: npt.NDArray[np.int64] | np.int64
) -> npt.NDArray[np.int64]:
    """A word of the pixel of each position in every window, where that is inside the image."""
    kernel_y, kernel_x = np.divmod(position, d["kernel_width"])
    output_y, output_x = np.divmod(np.arange(d["tokens"], dtype=np.int64), d["output_width"])
    down = output_y * d["stride_y"] + kernel_y * d["dilation_y"]
    right = output_x * d["stride_x"] + kernel_x * d["dilation_x"]
    y, x = d.get("origin_y", 0) + down, d.get("origin_x", 0) + right
    inside = (y >= 0) & (y < d["input_height"]) & (x >= 0) & (x < d["input_width"])
    source = d["source"] - (d["source"] >> (SOURCE_WIDTH - 1) << SOURCE_WIDTH)
    address = source + down * d["row_stride"] + right * d["input_stride"] + word
    return np.asarray(address[inside] % (1 << _ADDRESS_WIDTH))
