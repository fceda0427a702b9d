"""Rows for EfficientNet-Lite0 and the ViT-S saliency model: after the encoder alone, and distilled on photos.

Distillation begins block by block. From the first layers on, a model of 2 bits a weight gives so little of what the
float model gives that gradients of its last outputs say nothing; each block by itself is close to its teacher's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ssvq.accuracy.methods import INT8, Method, Table, method
from ssvq.accuracy.study import Reconstruction, Row, Run

Model = Literal["efficientnet_lite0", "vit_s_saliency"]

SOURCES = ["hopper", "lomiri", "mate", "stamps"]
"""260 photos, none of those on which the models are compared."""
METHODS = (("uniform", 8), ("uniform", 4), ("vq", 2), ("vq", 1.5), ("mvq", 1.5), ("ssvq", 2), ("ssvq", 1.5))
DISTILLED = (("uniform", 4), ("vq", 1.5), ("mvq", 1.5), ("ssvq", 2), ("ssvq", 1.5))
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
LOSS: Mapping[Model, Table] = {"efficientnet_lite0": {}, "vit_s_saliency": {"loss": "mse"}}
RATES = {
    "learning_rate": 1e-5,
    **{f"{kind}_learning_rate": 5e-4 for kind in ("codebook", "sign", "scale")},
    "uncompressed_learning_rate": 1e-4,
}
"""Of weights in int8, which steps as large as a codebook's would destroy; of codebooks; and of norms and biases."""
RECONSTRUCTION: Mapping[Model, Reconstruction] = {
    "efficientnet_lite0": Reconstruction(
        blocks=tuple(f"_blocks.{number}" for number in range(16)),
        batches=8,
        steps=60,
        learning_rate=1e-3,
        sign_learning_rate=1e-3,
    ),
    "vit_s_saliency": Reconstruction(
        blocks=(*(f"backbone.encoder.layer.{number}" for number in range(12)), "decoder"),
        batches=8,
        steps=40,
        learning_rate=1e-3,
        sign_learning_rate=3e-4,
    ),
}
TOGETHER = {"efficientnet_lite0": 60, "vit_s_saliency": 0}
"""Steps of the whole model after its blocks. EfficientNet's last layers, a third of its weights, are in no block."""


def _table(model: Model, rule: Mapping[str, Any] | None, *, steps: int, seed: int) -> Table:
    rules = (
        []
        if rule is None
        else [{"pattern": pattern, **(rule if own is None else own)} for pattern, own in RULES[model]]
    )
    return {
        "model": {"name": model},
        "data": {"kind": "photos", "sources": SOURCES, "evaluation_batch_size": 16, **DATA[model]},
        "distillation": LOSS[model],
        "optimizer": {**RATES, "warmup": 0.05, "clip_norm": 1.0},
        "training": {
            "steps": steps,
            "seed": seed,
            "matmul": MATMUL[model],
            "log_steps": max(1, steps // 20),
            "evaluate_steps": steps + 1,
        },
        "rules": rules,
    }


def _row(model: Model, chosen: Method | None, variant: str) -> Row:
    """Without training."""
    run = Run(family=model, table=_table(model, None if chosen is None else chosen.rule, steps=0, seed=0))
    name, bits = ("float", 32.0) if chosen is None else (chosen.name, chosen.bits)
    return Row(model=model, method=name, bits=bits, variant=variant, runs=(run,))


def _distilled(model: Model, chosen: Method, seeds: Sequence[int]) -> Row:
    """Distilled block by block, and then as a whole."""
    rule = {**chosen.rule, "rounding": "flexround"} if chosen.name == "uniform" else chosen.rule
    runs = []
    for seed in seeds:
        table = _table(model, rule, steps=TOGETHER[model], seed=seed)
        table["calibration"] = {"input_importance": True}
        table["data"]["evaluation_batch_size"] = 8
        runs.append(Run(family=model, table=table, reconstruction=RECONSTRUCTION[model]))
    return Row(model=model, method=chosen.name, bits=chosen.bits, variant="distilled", runs=tuple(runs))


def rows(model: Model, *, seeds: Sequence[int]) -> list[Row]:
    """Float; methods without training, and distilled.

    Args:
        model: which of the two.
        seeds: a distilled run each.
    """
    return [
        _row(model, None, "pretrained"),
        *(_row(model, method(*chosen), "post-training") for chosen in METHODS),
        *(_distilled(model, method(*chosen), seeds) for chosen in DISTILLED),
    ]
