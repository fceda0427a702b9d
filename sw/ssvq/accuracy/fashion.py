"""Rows for the ViT and the ResNet on all of Fashion-MNIST: trained in floating point, compressed and fine-tuned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ssvq.accuracy.methods import INT8, Method, Table, method
from ssvq.accuracy.study import Row, Run, Study

Model = Literal["fashion_vit", "fashion_resnet"]

METHODS = (
    *(("uniform", 8), ("uniform", 4), ("uniform", 3), ("uniform", 2)),
    *(("vq", 1.5), ("mvq", 1.5), ("ssvq", 2), ("ssvq", 1.5)),
)
SKIPPED = {
    "fashion_vit": ("patch_embed.proj", "head"),
    "fashion_resnet": ("conv1", "fc"),
}
"""First and last layers stay in floating point, as usual: they have few weights, and d=8 does not fit one channel."""

SMALL = {"fashion_vit": (), "fashion_resnet": ("layer2.0.downsample.0",)}
"""Layers with fewer weights than a codebook of 256 codewords of 8: methods with codebooks leave them in int8."""
PLAIN: Mapping[str, Any] = {"shift": 0}
FLOAT_IMAGES: Mapping[str, Mapping[str, Any]] = {"fashion_vit": PLAIN, "fashion_resnet": {}}
"""The ResNet is trained on images that are moved and mirrored. The ViT learns more slowly: it does not get to fit even
those that are not."""
MATMUL = {"fashion_vit": "bfloat16", "fashion_resnet": "float32"}
"""Rounding the operands of convolutions saves nothing on processors."""
LEARNING_RATE = 2e-3


def _table(
    model: Model, *, length: Mapping[str, int], seed: int, images: Mapping[str, Any], rates: Mapping[str, float]
) -> Table:
    return {
        "model": {"name": model},
        "data": {"kind": "fashion-mnist", "batch_size": 128, "evaluation_batch_size": 500, **images},
        "optimizer": {"learning_rate": LEARNING_RATE, "weight_decay": 0.02, "warmup": 0.05, **rates},
        "training": {**length, "seed": seed, "matmul": MATMUL[model], "log_steps": 50, "evaluate_steps": 10**6},
    }


def float_run(model: Model, *, length: Mapping[str, int], seed: int) -> Run:
    """Training from nothing; `length` is a number of "epochs" or "steps"."""
    return Run(family=model, table=_table(model, length=length, seed=seed, images=FLOAT_IMAGES[model], rates={}))


def _compressed_run(
    model: Model, chosen: Method, start: Run, *, steps: int, freezing: Mapping[str, Any] | None = None
) -> Run:
    seed, rule = start.table["training"]["seed"], chosen.rule
    content = _table(model, length={"steps": steps}, seed=seed, images=PLAIN, rates=chosen.optimizer)
    skipped = [{"pattern": name, "skip": True} for name in SKIPPED[model]]
    small = [{"pattern": name, **INT8} for name in SMALL[model] if "codebook_size" in rule]
    content["rules"] = [*skipped, *small, {"pattern": "*", **rule}]
    content["distillation"] = {}
    content["calibration"] = {"input_importance": True}
    if freezing is not None:
        content["freezing"] = freezing
    return Run(family=model, table=content, checkpoint=start)


def rows(model: Model, *, float_length: Mapping[str, int], steps: int, seeds: Sequence[int]) -> list[Row]:
    """Float, and all methods after the same fine-tuning of the float model of the same seed.

    Args:
        model: which of the two.
        float_length: of training from nothing, as "epochs" or as "steps".
        steps: of fine-tuning, 128 images each.
        seeds: a run each.
    """
    starts = tuple(float_run(model, length=float_length, seed=seed) for seed in seeds)
    found = [Row(model=model, method="float", bits=32, variant="trained", runs=starts)]

    def add(chosen: Method, variant: str, study: Study, freezing: Mapping[str, Any] | None = None) -> None:
        runs = tuple(_compressed_run(model, chosen, start, steps=steps, freezing=freezing) for start in starts)
        found.append(Row(model=model, method=chosen.name, bits=chosen.bits, variant=variant, runs=runs, study=study))

    for name, bits in METHODS:
        add(method(name, bits), "fine-tuned", "main")
    add(method("ssvq", 1.5), "majority", "ablation", {"variant": "majority"})
    return found
