"""The profile: what the core records of each descriptor, as rows of 32-bit words that the host reads."""

from __future__ import annotations

from .registers import COUNTERS

PROFILE_WORDS = 16
"""Words of a row; descriptor i has the words from `PROFILE_WORDS * i`."""

PROFILE_TIMES: tuple[tuple[str, str], ...] = (
    ("BEGIN", "LOAD, STORE, vector operation: begins; MATMUL, PRODUCT, CONV: its weights begin to be unpacked"),
    ("DECODED", "MATMUL, PRODUCT, CONV: the last of its weights has been taken"),
    ("COMPUTE_BEGIN", "MATMUL, PRODUCT, CONV: its first activation enters the array"),
    ("COMPUTE_END", "MATMUL, PRODUCT, CONV: its last activation has entered the array"),
    ("DRAIN_BEGIN", "MATMUL, PRODUCT, CONV: its first final sum comes out of the array"),
    ("END", "it is complete"),
)
"""Times, as values of TOTAL_CYCLES. A begin is the cycle of the event, an end the cycle after it: an end less its
begin is a number of cycles."""

PROFILE_CLASSES: tuple[str, ...] = tuple(name for name, _ in COUNTERS[1:])
"""Classes of cycles. Their values at COMPUTE_END add up to COMPUTE_END, so that the last need not be stored."""
PROFILE_STORED: tuple[str, ...] = PROFILE_CLASSES[:-1]
"""Counters whose values at COMPUTE_END follow the times."""

PROFILE_FIELDS: tuple[tuple[str, str], ...] = PROFILE_TIMES + tuple(
    (name, f"MATMUL, PRODUCT, CONV: value of {name} at COMPUTE_END") for name in PROFILE_STORED
)
"""Names and meanings of a row's words, in their order."""
PROFILE_WORD: dict[str, int] = {name: number for number, (name, _) in enumerate(PROFILE_FIELDS)}


def profile_addr(descriptor: int, word: str) -> int:
    """Value of PROFILE_ADDR that selects a descriptor's word by name. Raises KeyError."""
    return PROFILE_WORDS * descriptor + PROFILE_WORD[word]
