"""Where the activations of a matrix descriptor are: the loop of the formats page, one after the other."""

from collections.abc import Iterator
from dataclasses import dataclass

from ssvq_gen.config import CoreConfig

ADDRESSES = 1 << 33


@dataclass(frozen=True, kw_only=True)
class Place:
    """An activation: product of the batch, tile column, tile, token; its word, and the tile's place in the word.

    inside : there is such a word, or, for padding, there is none
    last_channels : the rows of the tile may not all be in use
    """

    b: int
    n: int
    k: int
    t: int
    address: int
    lane: int
    inside: bool
    last_channels: bool


def places_of(command: dict[str, int], config: CoreConfig) -> Iterator[Place]:
    """All activations of a command: ``for b: for n: for k: for t``; absent fields are zero."""
    f = dict.fromkeys(("batch_last", "input_batch_stride", "is_window", "origin_y", "origin_x"), 0) | command
    tiles_per_word = config.word_bytes // config.rows
    for b in range(f["batch_last"] + 1):
        for n in range(f["n_tiles"]):
            for k in range(f["k_tiles"]):
                for t in range(f["tokens"]):
                    if f["is_window"]:
                        address, tile, inside = pixel_of(f, k, t)
                        last = tile == f["channel_tiles"] - 1
                    else:
                        address = f["source"] + b * f["input_batch_stride"] + t * f["input_stride"]
                        tile, inside, last = k, True, k == f["k_tiles"] - 1
                    yield Place(
                        b=b,
                        n=n,
                        k=k,
                        t=t,
                        address=(address + tile // tiles_per_word) % ADDRESSES,
                        lane=tile % tiles_per_word,
                        inside=inside,
                        last_channels=last,
                    )


def pixel_of(f: dict[str, int], k: int, t: int) -> tuple[int, int, bool]:
    """First word of a pixel, the tile along its channels, and whether it is in the image."""
    position, tile = divmod(k, f["channel_tiles"])
    kernel_y, kernel_x = divmod(position, f["kernel_width"])
    output_y, output_x = divmod(t, f["output_width"])
    down = output_y * f["stride_y"] + kernel_y * f["dilation_y"]
    right = output_x * f["stride_x"] + kernel_x * f["dilation_x"]
    y, x = f["origin_y"] + down, f["origin_x"] + right
    first = f["source"] - (f["source"] >> 31 << 32)
    address = first + down * f["row_stride"] + right * f["input_stride"]
    return address, tile, 0 <= y < f["input_height"] and 0 <= x < f["input_width"]
