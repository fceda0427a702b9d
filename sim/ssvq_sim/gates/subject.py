"""The core whose netlists are run."""

from __future__ import annotations

from ssvq_gen.config import PRESETS

SHALLOW = PRESETS["tiny"].replace(
    name="shallow",
    activation_bytes=1 << 10,
    accumulator_depth=8,
    max_codebook_size=16,
    weight_buffer_depth=64,
    weight_cache_bytes=1 << 10,
    profile_depth=2,
)
"""`tiny` with the smallest memories in which every format and every kind of descriptor has room.

All that `tiny` computes and decides with is there: array, formats, vector unit, bus. Memories become cells bit by bit:
those of `tiny` itself would be thousands of cells of distributed RAM on Xilinx 7, all alike, where block RAM cannot be
simulated.
"""
