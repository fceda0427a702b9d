"""Tensors that are in DRAM as a whole, while the activation memory has some of their tokens at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import DRAM_ALIGNMENT

from .program import Piece, Region
from .reference import ActivationScale


class DramRole(Enum):
    """Who else knows a tensor: the host, before the first LOAD or after the last STORE, or nobody."""

    INPUT = "input"
    OUTPUT = "output"
    SCRATCH = "scratch"


@dataclass(frozen=True, kw_only=True)
class DramTensor:
    """An int8 tensor of `tokens` x `channels`, one token after the other, each padded to whole memory words."""

    name: str
    tokens: int
    channels: int
    scale: ActivationScale
    role: DramRole

    def token_bytes(self, config: CoreConfig) -> int:
        """Bytes from a token to the next."""
        return -(-self.channels // config.word_bytes) * config.word_bytes

    def aligned_tokens(self, config: CoreConfig) -> int:
        """A LOAD or STORE begins with a token whose number is a multiple of this."""
        return math.lcm(self.token_bytes(config), DRAM_ALIGNMENT) // self.token_bytes(config)

    def region(self, offset: int) -> Region:
        """The tensor as a job's input or output, when it begins at `offset`."""
        piece = Piece(offset=offset, tokens=(0, self.tokens), channels=(0, self.channels))
        return Region(tokens=self.tokens, channels=self.channels, scale=self.scale, pieces=(piece,))
