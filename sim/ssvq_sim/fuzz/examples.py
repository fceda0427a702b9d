"""Inputs that have a structure: valid files with a few things changed, made by Hypothesis."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, reject, seed, settings
from hypothesis import strategies as st

from .edits import ACTIONS, Edit, damaged, edited
from .target import Target, UnwritableError

BLOCK = 200
"""Examples that one seed of Hypothesis makes."""
_EDITS_MAX = 3
_NUMBERS = st.integers(0, (1 << 32) - 1)
_EDITS = st.lists(
    st.builds(Edit, place=_NUMBERS, action=st.sampled_from(ACTIONS), value=_NUMBERS), min_size=1, max_size=_EDITS_MAX
)


def contents(target: Target) -> st.SearchStrategy[bytes]:
    """Inputs of a reader: mostly valid files with changes to what they say, some damaged, some of any bytes."""
    seeds = st.sampled_from(target.seeds())
    rewritten = st.builds(lambda data, edits: _rewritten(target, data, edits), seeds, _EDITS)
    return st.one_of(
        rewritten,
        rewritten,
        rewritten,
        st.builds(damaged, seeds, _EDITS),
        st.builds(damaged, rewritten, _EDITS),
        st.binary(max_size=64),
    )


def _rewritten(target: Target, data: bytes, edits: list[Edit]) -> bytes:
    try:
        return target.together(edited(target.apart(data), edits))
    except UnwritableError:
        reject()


def run_block(target: Target, number: int, count: int, read: Callable[[bytes], None]) -> None:
    """Read `count` examples, the same ones for the same number of a block."""

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(contents(target))
    def example(content: bytes) -> None:
        read(content)

    example()
