"""Rows of the profile: every word has one place, and all classes of cycles are there."""

import pytest

from ssvq_gen.profile import (
    PROFILE_CLASSES,
    PROFILE_FIELDS,
    PROFILE_STORED,
    PROFILE_TIMES,
    PROFILE_WORD,
    PROFILE_WORDS,
    profile_addr,
)
from ssvq_gen.registers import COUNTERS


def test_words() -> None:
    assert list(PROFILE_WORD.values()) == list(range(len(PROFILE_FIELDS)))
    assert len(PROFILE_WORD) <= PROFILE_WORDS
    assert [name for name, _ in PROFILE_TIMES] == list(PROFILE_WORD)[: len(PROFILE_TIMES)]
    assert ["TOTAL_CYCLES", *PROFILE_CLASSES] == [name for name, _ in COUNTERS]
    assert list(PROFILE_WORD)[len(PROFILE_TIMES) :] == list(PROFILE_STORED)
    assert PROFILE_CLASSES[:-1] == PROFILE_STORED
    assert all(doc for _, doc in PROFILE_FIELDS)


def test_addresses() -> None:
    assert profile_addr(0, "BEGIN") == 0
    assert profile_addr(2, "END") == 2 * PROFILE_WORDS + 5
    assert profile_addr(3, "ARRAY_CYCLES") == 3 * PROFILE_WORDS + 6
    with pytest.raises(KeyError):
        profile_addr(0, "MIDDLE")
