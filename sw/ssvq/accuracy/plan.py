"""The sweep: all rows, in the order in which they are worth having."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ssvq.accuracy import fashion, minilm
from ssvq.accuracy.study import Row, Run


def full_plan() -> list[Row]:
    """Everything that `docs/results` shows."""
    steps = {"short": minilm.SHORT_STEPS, "long": minilm.LONG_STEPS}
    return [
        minilm.float_row(),
        *minilm.trained_rows(steps),
        *minilm.ablation_rows(steps),
        *minilm.post_training_rows(),
        *fashion.rows("fashion_resnet", float_epochs=12, epochs=4, seeds=minilm.SEEDS),
        *fashion.rows("fashion_vit", float_epochs=15, epochs=4, seeds=minilm.SEEDS),
    ]


def quick_plan() -> list[Row]:
    """A look at every kind of run, with the same code in a few steps; its figures mean nothing."""
    steps = {"short": 3, "long": 3}
    trained = [row for row in minilm.trained_rows(steps, (0,)) if row.bits == 1.5 and row.variant == "short"]
    post_training = [row for row in minilm.post_training_rows() if row.method == "ssvq" and row.bits == 1.5]
    images = fashion.rows("fashion_vit", float_epochs=1, epochs=1, seeds=(0,), steps=4)
    return [
        minilm.float_row(),
        *trained,
        *(row for row in minilm.ablation_rows(steps, (0,)) if row.variant == "fixed signs"),
        *post_training,
        *(row for row in images if row.bits in (1.5, 32)),
    ]


def in_order(rows: Sequence[Row]) -> Iterator[tuple[Row, Run]]:
    """All runs of some rows, each with its row: first seeds of all rows first, so that every row soon has a figure."""
    for number in range(max(len(row.runs) for row in rows)):
        for row in rows:
            if number < len(row.runs):
                yield row, row.runs[number]
