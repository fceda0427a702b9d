"""The tables of vector operations over their whole ranges: every mantissa, at both ends of what it stands for.

A root depends on the total's exponent and its first `1 + SEGMENTS_LOG2 + SEGMENT_FRACTION_WIDTH` bits. All totals that
have no more bits are tried. The others that have the same root lie between two ends, and as the exact functions fall,
the error is largest at one of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from ssvq_gen.vector_arithmetic import (
    CHANNELS_MAX,
    GAIN_SHIFT_MAX,
    INVERSE_LINES,
    INVERSE_ROOT_LINES,
    MEAN_FRACTION,
    ROOT_MAX,
    ROOT_WIDTH,
    SEGMENT_FRACTION_WIDTH,
    SEGMENTS_LOG2,
    WEIGHT_MAX,
    inverse,
    inverse_root,
    mean,
)

MANTISSA_WIDTH = 1 + SEGMENTS_LOG2 + SEGMENT_FRACTION_WIDTH
CENTRED_MAX = 255 << GAIN_SHIFT_MAX
WEIGHTS_MAX = CHANNELS_MAX * WEIGHT_MAX
SPREAD_MAX = CHANNELS_MAX**2 * CENTRED_MAX**2 + (1 << 32)
ERROR = 2**-14
Totals = np.ndarray[Any, np.dtype[np.int64]]


def totals(largest: int) -> Iterator[Totals]:
    """All totals of few bits, then for each exponent the least and the largest of every mantissa."""
    yield np.arange(1, min(largest, (1 << MANTISSA_WIDTH) - 1) + 1)
    mantissas = np.arange(1 << (MANTISSA_WIDTH - 1), 1 << MANTISSA_WIDTH)
    for shift in range(1, largest.bit_length() - MANTISSA_WIDTH + 1):
        for ends in (mantissas << shift, ((mantissas + 1) << shift) - 1):
            yield ends[ends <= largest]
    yield np.array([largest])


def largest_error(
    found: Callable[[Totals, Any], tuple[Any, Any]], lines: Any, exact: Callable[[Totals], Any], largest: int
) -> float:
    """Relative error over all totals; every root has its first bit set."""
    table, errors = np.array(lines), []
    for some in totals(largest):
        root, exponent = found(some, table)
        assert ((root >> (ROOT_WIDTH - 1)) == 1).all()
        assert (root <= ROOT_MAX).all()
        errors.append(
            np.abs(np.ldexp(root.astype(np.longdouble), -exponent) * exact(some.astype(np.longdouble)) - 1).max()
        )
    return float(max(errors))


def test_inverse_of_every_total() -> None:
    assert largest_error(inverse, INVERSE_LINES, lambda total: total, WEIGHTS_MAX) < ERROR


def test_inverse_root_of_every_total() -> None:
    assert largest_error(inverse_root, INVERSE_ROOT_LINES, np.sqrt, SPREAD_MAX) < ERROR


@pytest.mark.parametrize(
    ("found", "lines", "exact"),
    [(inverse, INVERSE_LINES, lambda total: total), (inverse_root, INVERSE_ROOT_LINES, np.sqrt)],
)
@pytest.mark.parametrize("segment", [1, 63, 126])
def test_one_wrong_line_is_found(found: Any, lines: Any, exact: Any, segment: int) -> None:
    wrong = list(lines)
    wrong[segment] = wrong[segment][0] + 8, wrong[segment][1]
    assert largest_error(found, wrong, exact, WEIGHTS_MAX) > ERROR


def test_mean_of_every_number_of_channels() -> None:
    """The error grows with the sum, so that it is largest at the largest sums; these fit 64 bits with the inverse."""
    for channels in range(1, CHANNELS_MAX + 1):
        for total in (channels * CENTRED_MAX, channels * CENTRED_MAX - 1, 1 - channels * CENTRED_MAX):
            assert 2 * abs(mean(total, channels) * channels - (total << MEAN_FRACTION)) < 3 * channels
        assert mean(channels * CENTRED_MAX, channels) == CENTRED_MAX << MEAN_FRACTION
        assert mean(-channels * CENTRED_MAX, channels) == -CENTRED_MAX << MEAN_FRACTION
