"""Rows for the ViT and the ResNet on all of Fashion-MNIST: trained in floating point, compressed and fine-tuned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ssvq.accuracy.methods import Table, method
from ssvq.accuracy.study import Row, Run

Model = Literal["fashion_vit", "fashion_resnet"]

COMPRESSED = {
    "fashion_vit": ("uniform 8", "uniform 4", "uniform 3", "uniform 2", "vq 1.5", "mvq 1.5", "ssvq 2", "ssvq 1.5"),
    "fashion_resnet": ("uniform 8", "uniform 4", "uniform 3", "uniform 2", "vq 1.5", "mvq 1.5", "ssvq 2", "ssvq 1.5"),
}
SKIPPED = {
    "fashion_vit": ("patch_embed.proj", "head"),
    "fashion_resnet": ("conv1", "fc"),
}
"""First and last layers stay in floating point, as usual: they have few weights, and d=8 does not fit one channel."""


def _table(model: Model, *, epochs: int, seed: int, learning_rate: float, steps: int | None) -> Table:
    training = {"epochs": epochs, "seed": seed, "log_steps": 50, "evaluate_steps": 10**6}
    return {
        "model": {"name": model},
        "data": {"kind": "fashion-mnist", "batch_size": 128, "evaluation_batch_size": 500},
        "optimizer": {"learning_rate": learning_rate, "weight_decay": 0.02, "warmup": 0.05},
        "training": training if steps is None else training | {"steps": steps},
    }


def float_run(model: Model, *, epochs: int, seed: int, steps: int | None = None) -> Run:
    """Training from nothing."""
    return Run(family=model, table=_table(model, epochs=epochs, seed=seed, learning_rate=2e-3, steps=steps))


def _compressed_run(model: Model, rule: Mapping[str, Any], start: Run, **about: Any) -> Run:
    content = _table(model, **about)
    skipped = [{"pattern": name, "skip": True} for name in SKIPPED[model]]
    content["rules"] = [*skipped, {"pattern": "*", **rule}]
    content["distillation"] = {"weight": 0.5}
    return Run(family=model, table=content, checkpoint=start)


def rows(model: Model, *, float_epochs: int, epochs: int, seeds: Sequence[int], steps: int | None = None) -> list[Row]:
    """Float, and all methods after the same fine-tuning of the float model of the same seed.

    Args:
        model: which of the two.
        float_epochs, epochs: of float training and of fine-tuning.
        seeds: a run each.
        steps: in place of all epochs, for quick looks.
    """
    starts = {seed: float_run(model, epochs=float_epochs, seed=seed, steps=steps) for seed in seeds}
    found = [Row(model=model, method="float", bits=32, variant="trained", runs=tuple(starts.values()))]
    for label in COMPRESSED[model]:
        name, _, bits = label.partition(" ")
        chosen = method(name, float(bits))
        runs = tuple(
            _compressed_run(model, chosen.rule, start, epochs=epochs, seed=seed, learning_rate=1e-3, steps=steps)
            for seed, start in starts.items()
        )
        found.append(Row(model=model, method=name, bits=chosen.bits, variant="fine-tuned", runs=runs))
    return found
