"""A softmax over some of the channels, which a mask of the same shape keeps: a SUM, and a SOFTMAX with a shorter table.

The scores are brought to int8 from ``cutoff - 128`` up, and the mask takes 255 from those that it leaves out, which
are -128 then. As every row with a kept place has a score of at least ``cutoff - 128``, all that is left out is at least
`cutoff` steps below the row's largest score, and nothing that far away has a weight in the table. So the shares of what
is left out are zero, and the others are those of a softmax of the kept places alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ssvq_gen.arithmetic import ACTIVATION_MAX, ACTIVATION_MIN
from ssvq_gen.format import TABLE_ENTRIES, Opcode
from ssvq_gen.vector_arithmetic import WEIGHT_MAX

from .fixed_point import fixed, largest_shift
from .layer_arithmetic import CompileError
from .reference import ActivationScale
from .vector_operation import VectorOperation
from .vector_scales import softmax

LEVELS = ACTIVATION_MAX - ACTIVATION_MIN
KEEP_SCALE = ActivationScale(scale=1 / LEVELS, zero_point=ACTIVATION_MIN)
"""Of a mask: what is kept is 127, and what is left out is -128."""
REACH = math.log(2 * WEIGHT_MAX)
"""A score that is further below a row's largest has the weight 0 in any softmax."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MaskedSoftmax:
    """The two operations.

    Attributes:
        cutoff: steps of `scores_scale` below a row's largest score at which the weight is zero, 1 to 128.
        mask: SUM of scores and mask, int8 (T, C) each, the mask by `KEEP_SCALE`.
        scores_scale: of what `mask` gives, where a place is kept.
        softmax: SOFTMAX of that.
    """

    cutoff: int
    mask: VectorOperation
    scores_scale: ActivationScale
    softmax: VectorOperation


def cutoff_of(scale: float) -> int:
    """The fewest steps that are at least `REACH`, of scores that have `LEVELS` less that many steps in place of all.

    At most half of the int8 range, as more than that is further than any two scores are apart.
    """
    return min(1 << 7, math.ceil(LEVELS * REACH / (LEVELS * scale + REACH)))


def masked_softmax(
    name: str, *, channels: int, input_scale: ActivationScale, output_scale: ActivationScale
) -> MaskedSoftmax:
    """``exp(x) / sum(exp(x))`` over those channels of each activation that a mask keeps; the others are 0.

    An activation of which nothing is kept has equal shares. A step of the scores becomes at most 255 / 127 times as
    large, and less where they spread wider than `REACH`.

    Raises CompileError when scales have gains.
    """
    if input_scale.gains or output_scale.gains:
        raise CompileError(name, "scales of a softmax must not have gains: it compares channels")
    cutoff = cutoff_of(input_scale.scale)
    lowest = ACTIVATION_MIN + cutoff
    ratio = (LEVELS - cutoff) / LEVELS
    scores_scale = ActivationScale(scale=input_scale.scale / ratio)
    ratios = np.asarray(ratio), np.asarray(1.0)
    shift = largest_shift(name, *ratios)
    mask = VectorOperation(
        name=name,
        opcode=Opcode.SUM,
        channels=channels,
        multiplier=fixed(ratios[0], shift),
        second_multiplier=fixed(ratios[1], shift),
        shift=shift,
        input_zero_point=ACTIVATION_MIN,
        second_zero_point=ACTIVATION_MAX,
        has_second=True,
        zero_point=lowest,
        output_scale=scores_scale,
    )
    whole = softmax(name, channels=channels, input_scale=scores_scale, output_scale=output_scale)
    if whole.table is None:
        raise CompileError(name, "SOFTMAX needs a table of weights")
    near = np.where(np.arange(TABLE_ENTRIES) < cutoff, whole.table, 0)
    return MaskedSoftmax(cutoff=cutoff, mask=mask, scores_scale=scores_scale, softmax=replace(whole, table=near))
