"""Where the windows of a convolution are in its image, and its output in parts that fit the core."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ssvq_gen.config import CoreConfig

Number = TypeVar("Number", bound=np.generic)

Pair = tuple[int, int]
"""Of the vertical and the horizontal direction."""


@dataclass(frozen=True, kw_only=True)
class ConvolutionGeometry:
    """Kernel and windows of a convolution; all in pixels, pairs are (vertical, horizontal).

    padding : pixels around the image, (top, bottom, left, right); each is the input's zero point

    Raises ValueError for a kernel, stride or dilation below 1 or negative padding.
    """

    kernel: Pair
    stride: Pair = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: Pair = (1, 1)

    def __post_init__(self) -> None:
        for field, count, low in (("kernel", 2, 1), ("stride", 2, 1), ("padding", 4, 0), ("dilation", 2, 1)):
            values = getattr(self, field)
            if len(values) != count or min(values) < low:
                raise ValueError(f"{field} must be {count} numbers of at least {low}, not {values}")

    @property
    def positions(self) -> int:
        """Positions of the kernel."""
        return self.kernel[0] * self.kernel[1]

    def output_size(self, height: int, width: int) -> Pair:
        """Rows and columns of windows in an image. Raises ValueError when there is no window in it."""
        top, bottom, left, right = self.padding
        sizes = []
        for axis, length in enumerate((height + top + bottom, width + left + right)):
            reach = (self.kernel[axis] - 1) * self.dilation[axis] + 1
            if reach > length:
                raise ValueError(f"a padded image of {length} pixels has no window of {reach}")
            sizes.append((length - reach) // self.stride[axis] + 1)
        return sizes[0], sizes[1]

    def windows(self, image: npt.NDArray[Number], padding_value: int) -> npt.NDArray[Number]:
        """An image (H, W, C) as the inputs of every output pixel, (OH, OW, kh, kw, C). Raises ValueError."""
        height, width = self.output_size(*image.shape[:2])
        top, bottom, left, right = self.padding
        padded = np.pad(image, ((top, bottom), (left, right), (0, 0)), constant_values=padding_value)
        rows = np.arange(height)[:, None] * self.stride[0] + np.arange(self.kernel[0]) * self.dilation[0]
        columns = np.arange(width)[:, None] * self.stride[1] + np.arange(self.kernel[1]) * self.dilation[1]
        return np.asarray(padded[rows[:, None, :, None], columns[None, :, None, :]])

    def shifted(self, image: npt.NDArray[Number], padding_value: int) -> Iterator[npt.NDArray[Number]]:
        """The same inputs position by position, row by row of the kernel: views (OH, OW, C). Raises ValueError."""
        size = self.output_size(*image.shape[:2])
        top, bottom, left, right = self.padding
        padded = np.pad(image, ((top, bottom), (left, right), (0, 0)), constant_values=padding_value)
        rows, columns = (
            [slice(at * step, at * step + (count - 1) * stride + 1, stride) for at in range(length)]
            for length, step, stride, count in zip(self.kernel, self.dilation, self.stride, size, strict=True)
        )
        yield from (padded[row, column] for row in rows for column in columns)


@dataclass(frozen=True, kw_only=True)
class Band:
    """Output pixels of one descriptor: `height` x `width` from row `y`, column `x` on."""

    y: int
    x: int
    height: int
    width: int

    @property
    def pixels(self) -> int:
        """How many."""
        return self.height * self.width


def split_bands(config: CoreConfig, height: int, width: int) -> list[Band]:
    """An output of `height` x `width` pixels in the fewest parts that a core takes at once, in row-major order.

    As many whole rows as `accumulator_depth` holds, as evenly as possible; of a row that is longer, parts of it.
    Raises ValueError for an output without pixels.
    """
    if height < 1 or width < 1:
        raise ValueError(f"an output must have at least one pixel, not {height} x {width}")
    depth = config.accumulator_depth
    if width <= depth:
        rows = _evenly(height, depth // width)
        return [Band(y=y, x=0, height=count, width=width) for y, count in rows]
    parts = _evenly(width, depth)
    return [Band(y=y, x=x, height=1, width=count) for y in range(height) for x, count in parts]


def _evenly(length: int, most: int) -> list[Pair]:
    """(start, length) of the fewest parts of at most `most`, whose lengths differ by one at most."""
    count = -(-length // most)
    edges = [i * length // count for i in range(count + 1)]
    return [(start, stop - start) for start, stop in pairwise(edges)]
