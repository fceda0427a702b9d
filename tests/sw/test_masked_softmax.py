"""A softmax with a mask on the core: what is left out has no share, and the others those of a softmax without it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ssvq.layer_arithmetic import CompileError
from ssvq.masked_softmax import KEEP_SCALE, REACH, masked_softmax
from ssvq.reference import ActivationScale, Int8Array
from ssvq_gen.vector_arithmetic import WEIGHT_MAX

SHARES = ActivationScale(scale=1 / 127)
CHANNELS = 24
STEPS = (0.004, 0.03, 0.1, 0.3, 0.95)
"""Of the scores: from less than the reach of an exponential in all of int8 to many times that."""


def scores_and_mask(seed: int) -> tuple[Int8Array, Int8Array]:
    """Rows of scores over all of int8, and masks that keep 1 to all of the channels."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(-128, 128, (200, CHANNELS), dtype=np.int8)
    scores[::3] //= 8
    counts = 1 + np.arange(200) % CHANNELS
    keep = np.argsort(rng.random((200, CHANNELS)), axis=1) < counts[:, None]
    return scores, KEEP_SCALE.quantize(keep)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("zero_point", [0, -128, 90])
def test_shares_are_those_of_the_kept_places_alone(step: float, zero_point: int) -> None:
    scale = ActivationScale(scale=step, zero_point=zero_point)
    made = masked_softmax("s", channels=CHANNELS, input_scale=scale, output_scale=SHARES)
    scores, mask = scores_and_mask(1)
    keep = mask == 127
    found = made.softmax.reference(made.mask.reference(scores, mask))
    assert (found[~keep] == 0).all()
    everything = np.full_like(mask, 127)
    for row in range(len(scores)):
        kept = keep[row]
        alone = replace(made.softmax, channels=int(kept.sum()))
        without = made.mask.reference(scores[row : row + 1], everything[row : row + 1])[:, kept]
        assert (found[row, kept] == alone.reference(without)).all()
    exponentials = np.where(keep, np.exp(step * (scores - scores.max(axis=1, keepdims=True).astype(float))), 0)
    exact = exponentials / exponentials.sum(axis=1, keepdims=True)
    # a score is wrong by half of a step at most, so a share by a factor of exp(step) at most, and by its own rounding
    bound = 1 - np.exp(-made.scores_scale.scale) + 1 / 127
    assert np.abs(found / 127 - exact).max() <= bound


@pytest.mark.parametrize("step", STEPS)
def test_what_a_mask_costs(step: float) -> None:
    """At most one bit of the scores, and less where they spread wide; no weight that the whole table has is lost."""
    made = masked_softmax("s", channels=4, input_scale=ActivationScale(scale=step), output_scale=SHARES)
    assert 1 <= made.scores_scale.scale / step <= 255 / 127 * (1 + 1e-9)
    assert made.cutoff == 128 or made.cutoff * made.scores_scale.scale >= REACH > (made.cutoff - 3) * step
    lost = WEIGHT_MAX * np.exp(-made.cutoff * made.scores_scale.scale)
    assert made.cutoff == 128 or lost < 0.5
    assert made.softmax.table is not None
    assert (made.softmax.table[made.cutoff :] == 0).all()
    assert made.softmax.table[0] == WEIGHT_MAX


def test_a_row_of_which_nothing_is_kept_has_equal_shares() -> None:
    made = masked_softmax("s", channels=4, input_scale=ActivationScale(scale=0.1), output_scale=SHARES)
    masked = made.mask.reference(np.array([[127, -128, 3, 40]], dtype=np.int8), np.full((1, 4), -128, dtype=np.int8))
    assert (masked == -128).all()
    assert made.softmax.reference(masked).tolist() == [[32, 32, 32, 32]]


def test_gains_are_refused() -> None:
    gains = ActivationScale(scale=0.1, gains=(1.0, 2.0))
    for scales in ((gains, SHARES), (SHARES, gains)):
        with pytest.raises(CompileError, match="scales of a softmax must not have gains"):
            masked_softmax("s", channels=2, input_scale=scales[0], output_scale=scales[1])
