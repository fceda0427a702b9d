"""The order in which activations go into the array, as both generators of their addresses have it."""

from amaranth.hdl import Const, Mux, Value, signed
from amaranth.lib import data
from amaranth.lib.wiring import In, Member, Out

from ssvq_gen.config import CoreConfig

ADDRESS_WIDTH = 33
"""Bits of an address, one more than a descriptor's: neither sums nor a `source` below zero become another word."""
Y_WIDTH = 20
X_WIDTH = 16
"""Bits of a row and of a column of the image. What is before the image is far behind it as an unsigned number, and no
window comes round to the image again: in a CONV there are at most 2**16 rows of a kernel, `dilation_y` apart, and 2**12
rows of windows, `stride_y` apart, in a vector operation 2**12 and 2**16."""


class WalkCommand(data.StructLayout):
    """Where activations are, as in a descriptor.

    is_window : pixels in the windows of an image, from `output_width` on as in a CONV; else the activations of a matrix
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "source": 32,
                "input_stride": 16,
                "input_batch_stride": 16,
                "is_window": 1,
                "output_width": 12,
                "input_height": 12,
                "input_width": 12,
                "row_stride": 16,
                "origin_y": signed(13),
                "origin_x": signed(13),
                "stride_y": 3,
                "stride_x": 3,
                "dilation_y": 4,
                "dilation_x": 4,
                "kernel_width": 4,
                "channel_tiles": 12,
            }
        )


def lane_count(config: CoreConfig) -> int:
    """Tiles of the input channels in a word."""
    return config.word_bytes // config.rows


def walk_members(config: CoreConfig) -> dict[str, Member]:
    """Members of a walk over ``for product: for tile column: for tile: for token``.

    start, command : In, `WalkCommand`; the walk is at its first activation with the next cycle
    advance : In, to the next activation with the next cycle
    last_token, last_tile, last_column : In, where the walk is: at the last token of a tile, in the last tile of a
        column, in the last column of a product
    address : activation memory word
    lane : place of the tile in the word, of `lane_count`
    inside : there is such a word; else the activation is padding
    last_channels : the tile is the last one along the input channels, whose rows may not all be in use
    """
    return {
        "start": In(1),
        "command": In(WalkCommand()),
        "advance": In(1),
        "last_token": In(1),
        "last_tile": In(1),
        "last_column": In(1),
        "address": Out(ADDRESS_WIDTH),
        "lane": Out(max(lane_count(config).bit_length() - 1, 1)),
        "inside": Out(1),
        "last_channels": Out(1),
    }


def times(words: Value, factor: Value) -> Value:
    """A product as a sum of shifted words: synthesis would take a multiplier for it."""
    return sum((Mux(factor[bit], words << bit, 0) for bit in range(len(factor))), start=Const(0))
