"""Where an image is in the activation memory."""

from __future__ import annotations

from dataclasses import dataclass

from ssvq_gen.config import CoreConfig

from .activation_tensor import ActivationTensor


@dataclass(frozen=True, kw_only=True)
class ImageTensor:
    """An int8 image of `height` x `width` pixels of `channels`, whose first pixel is at `word`.

    stride, row_stride : words from a pixel to the next, from a row to the next

    Only pixels that are read or written have to be in the memory. So an image of which some rows are there is the
    whole image, at the word where its first row would be, perhaps below zero.
    """

    word: int
    height: int
    width: int
    channels: int
    stride: int
    row_stride: int

    @classmethod
    def packed(cls, config: CoreConfig, *, word: int, height: int, width: int, channels: int) -> ImageTensor:
        """The image without gaps between its pixels and rows."""
        stride = -(-channels // config.word_bytes)
        return cls(word=word, height=height, width=width, channels=channels, stride=stride, row_stride=width * stride)

    def pixel(self, y: int, x: int) -> int:
        """First word of a pixel, or of where it would be."""
        return self.word + y * self.row_stride + x * self.stride

    def pixels(self, y: int, x: int, height: int, width: int) -> ActivationTensor:
        """A part of the image as activations. Raises ValueError when there are gaps between its rows."""
        if height > 1 and self.row_stride != width * self.stride:
            raise ValueError(
                f"rows of {width} pixels that are {self.stride} words apart must be {width * self.stride} words apart, "
                f"not {self.row_stride}"
            )
        return ActivationTensor(
            word=self.pixel(y, x), tokens=height * width, channels=self.channels, stride=self.stride
        )

    def tokens(self) -> ActivationTensor:
        """All pixels as activations, as LOAD and STORE move them. Raises ValueError when rows have gaps."""
        return self.pixels(0, 0, self.height, self.width)
