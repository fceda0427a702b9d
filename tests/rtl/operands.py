"""Operands of PRODUCTs: random commands that fit a memory, and what has to be read and loaded for them."""

import random
from collections.abc import Iterator

import numpy as np

from ssvq_gen.config import CoreConfig

Command = dict[str, int]
"""Fields of an `OperandCommand`."""


def random_memory(config: CoreConfig, rng: random.Random) -> np.ndarray:
    """int8 (activation_depth, word_bytes)."""
    generator = np.random.default_rng(rng.getrandbits(32))
    return generator.integers(-128, 128, (config.activation_depth, config.word_bytes), np.int8)


def random_command(config: CoreConfig, rng: random.Random, *, transposed: bool, ragged: bool = True) -> Command:
    """A command whose last word is often the last one of the memory."""
    while True:
        command = {
            "operand": 0,
            "operand_stride": rng.randrange(5),
            "operand_batch_stride": rng.randrange(9),
            "k_tiles": rng.randint(1, 4),
            "n_tiles": rng.randint(1, 4),
            "batch_last": rng.randrange(3),
            "last_rows": rng.randint(1, config.rows) if ragged else config.rows,
            "last_columns": rng.randint(1, config.cols) if ragged else config.cols,
            "transposed": int(transposed),
            "early_tiles": 0,
        }
        spare = config.activation_depth - 1 - max(reads(config, command))
        if spare >= 0:
            return command | {"operand": rng.choice((spare, rng.randint(0, spare)))}


def tiles(command: Command) -> Iterator[tuple[int, int, int]]:
    """(product, tile column, tile) in the order of the array."""
    for b in range(command["batch_last"] + 1):
        for n in range(command["n_tiles"]):
            for k in range(command["k_tiles"]):
                yield b, n, k


def _inside(config: CoreConfig, command: Command, n: int, k: int) -> tuple[int, int]:
    """Rows and columns of a tile that belong to the tensor."""
    rows = command["last_rows"] if k == command["k_tiles"] - 1 else config.rows
    columns = command["last_columns"] if n == command["n_tiles"] - 1 else config.cols
    return rows, columns


def tile_reads(config: CoreConfig, command: Command, b: int, n: int, k: int) -> list[int]:
    """Words that have to be read for a tile."""
    rows, columns = _inside(config, command, n, k)
    transposed = command["transposed"]
    token, count = (n * config.cols, columns) if transposed else (k * config.rows, rows)
    channel = k * config.rows if transposed else n * config.cols
    first = command["operand"] + b * command["operand_batch_stride"] + channel // config.word_bytes
    return [first + (token + i) * command["operand_stride"] for i in range(count)]


def reads(config: CoreConfig, command: Command) -> list[int]:
    """Words that have to be read, in order."""
    return [address for tile in tiles(command) for address in tile_reads(config, command, *tile)]


def tile_weights(config: CoreConfig, command: Command, memory: np.ndarray, b: int, n: int, k: int) -> np.ndarray:
    """int8 (rows, cols): a tile, zero beyond the tensor."""
    rows, columns = _inside(config, command, n, k)
    words = memory[tile_reads(config, command, b, n, k)]
    if command["transposed"]:
        words = np.roll(words, -(k * config.rows % config.word_bytes), axis=1)
        inside = words[:, :rows].T
    else:
        words = np.roll(words, -(n * config.cols % config.word_bytes), axis=1)
        inside = words[:, :columns]
    tile = np.zeros((config.rows, config.cols), np.int8)
    tile[:rows, :columns] = inside
    return tile
