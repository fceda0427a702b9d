"""The sweep: all rows, in the order in which they are worth having."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ssvq.accuracy import fashion, minilm, photos
from ssvq.accuracy.study import Row, Run

QUICK_STEPS = 3
FASHION_STEPS = 600


def full_plan() -> list[Row]:
    """Everything that `docs/results` shows."""
    steps: dict[minilm.Budget, int] = {"short": minilm.SHORT_STEPS, "long": minilm.LONG_STEPS}
    return [
        minilm.float_row(),
        *minilm.trained_rows(steps),
        *minilm.ablation_rows(steps),
        *minilm.post_training_rows(),
        *fashion.rows("fashion_resnet", float_length={"epochs": 6}, steps=FASHION_STEPS, seeds=minilm.SEEDS),
        *fashion.rows("fashion_vit", float_length={"epochs": 12}, steps=FASHION_STEPS, seeds=minilm.SEEDS),
        *photos.rows("efficientnet_lite0", seeds=minilm.SEEDS),
        *photos.rows("vit_s_saliency", seeds=minilm.SEEDS),
    ]


def quick_plan() -> list[Row]:
    """A look at every kind of run, with the same code on little data; its figures mean nothing."""
    budgets: dict[minilm.Budget, int] = {"short": QUICK_STEPS, "long": QUICK_STEPS}
    sentences = [
        *(row for row in minilm.trained_rows(budgets, (0,)) if row.variant == "short"),
        *(row for row in minilm.ablation_rows(budgets, (0,)) if row.variant in ("fixed signs", "majority")),
        *(row for row in minilm.post_training_rows() if row.method in ("ssvq", "uniform")),
    ]
    images = fashion.rows("fashion_vit", float_length={"steps": QUICK_STEPS}, steps=QUICK_STEPS, seeds=(0,))
    kinds: dict[tuple[str, str], Row] = {}
    for row in (*sentences, *images):
        if row.bits in ((2, 32) if row.method in ("uniform", "float") else (1.5,)):
            kinds.setdefault((row.method, row.variant), row)
    return [minilm.float_row(), *(replace(row, runs=tuple(map(_small, row.runs))) for row in kinds.values())]


def _small(run: Run) -> Run:
    """The same kind of run on little data."""
    table = copy.deepcopy(dict(run.table))
    if run.family == "minilm":
        table["data"] |= {"parts": ["adv"], "batch_size": 8, "evaluation_batch_size": 8}
        for rule in table["rules"]:
            rule["pattern"] = rule["pattern"].replace("encoder", minilm.BLOCKS[0], 1)
    else:
        table["data"]["held_out"] = 0.01  # 600 of the training images are evaluated in place of the 10,000 others
    reconstruction = run.reconstruction
    if reconstruction is not None:
        reconstruction = replace(reconstruction, blocks=reconstruction.blocks[:1], steps=QUICK_STEPS)
    start = None if run.checkpoint is None else _small(run.checkpoint)
    return replace(run, table=table, reconstruction=reconstruction, checkpoint=start)


def in_order(rows: Sequence[Row]) -> Iterator[tuple[Row, Run]]:
    """All runs of some rows, each with its row: first seeds of all rows first, so that every row soon has a figure."""
    for number in range(max(len(row.runs) for row in rows)):
        for row in rows:
            if number < len(row.runs):
                yield row, row.runs[number]
