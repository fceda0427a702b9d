"""Rows for EfficientNet-Lite0 and the ViT-S saliency model: after the encoder alone, and distilled on photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ssvq.accuracy.methods import INT8, Method, Table, method
from ssvq.accuracy.study import Row, Run

Model = Literal["efficientnet_lite0", "vit_s_saliency"]

SOURCES = ["hopper", "lomiri", "mate", "stamps"]
"""260 photos, none of those on which the models are compared."""
METHODS = (("uniform", 8), ("uniform", 4), ("vq", 2), ("vq", 1.5), ("mvq", 1.5), ("ssvq", 2), ("ssvq", 1.5))
RULES: Mapping[Model, Sequence[tuple[str, Mapping[str, Any] | None]]] = {
    # a depthwise kernel and the stem have 1 and 3 input channels: no vectors along them, and few weights; the layers of
    # the first blocks, 0.4 % of the weights, are smaller than a codebook
    "efficientnet_lite0": (
        *(("*_depthwise_conv", INT8), ("_conv_stem", INT8), ("_blocks.[0-3].*", INT8)),
        ("*", None),
    ),
    "vit_s_saliency": (("backbone.embeddings.*", INT8), ("decoder.final_conv", INT8), ("*", None)),
}
"""Patterns with their rules; None is the method's."""
DATA: Mapping[Model, Table] = {
    "efficientnet_lite0": {"batch_size": 16, "mean": [127 / 255] * 3, "deviation": [128 / 255] * 3},
    "vit_s_saliency": {"batch_size": 8},
}
MATMUL = {"efficientnet_lite0": "float32", "vit_s_saliency": "bfloat16"}
DISTILLATION: Mapping[Model, Table] = {"efficientnet_lite0": {}, "vit_s_saliency": {"loss": "mse"}}


def _table(model: Model, chosen: Method | None, *, steps: int, seed: int) -> Table:
    rules = (
        []
        if chosen is None
        else [{"pattern": pattern, **(chosen.rule if rule is None else rule)} for pattern, rule in RULES[model]]
    )
    data = {"kind": "photos", "sources": SOURCES, "evaluation_batch_size": 16}
    return {
        "model": {"name": model},
        "data": {**data, **DATA[model]},
        "distillation": DISTILLATION[model],
        "optimizer": {
            "learning_rate": 1e-4 if chosen is not None and chosen.name == "uniform" else 5e-4,
            "uncompressed_learning_rate": 1e-4,
            "warmup": 0.05,
            "clip_norm": 1.0,
        },
        "training": {
            "steps": steps,
            "seed": seed,
            "matmul": MATMUL[model],
            "log_steps": max(1, steps // 20),
            "evaluate_steps": steps + 1,
        },
        "rules": rules,
    }


def _row(model: Model, chosen: Method | None, variant: str, *, steps: int, seeds: Sequence[int]) -> Row:
    runs = tuple(Run(family=model, table=_table(model, chosen, steps=steps, seed=seed)) for seed in seeds)
    name, bits = ("float", 32.0) if chosen is None else (chosen.name, chosen.bits)
    return Row(model=model, method=name, bits=bits, variant=variant, runs=runs)


def rows(model: Model, *, steps: int, seeds: Sequence[int]) -> list[Row]:
    """Float; all methods without training and after the same number of steps.

    Args:
        model: which of the two.
        steps: of distillation.
        seeds: a distilled run each.
    """
    methods = [method(name, bits) for name, bits in METHODS]
    return [
        _row(model, None, "pretrained", steps=0, seeds=(0,)),
        *(_row(model, chosen, "post-training", steps=0, seeds=(0,)) for chosen in methods),
        *(_row(model, chosen, "distilled", steps=steps, seeds=seeds) for chosen in methods),
    ]
