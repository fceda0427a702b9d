"""Rows for MiniLM: distilled from its own float outputs on WordNet's definitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ssvq.accuracy.methods import MAIN, MVQ, SSVQ, UNIFORM, VQ, Method, Table, method
from ssvq.accuracy.study import Reconstruction, Row, Run

Budget = Literal["short", "long"]
LAYERS = "encoder.*"
"""36 linear layers, 10.6 million weights."""
ADDED = "encoder.*.output.dense"
"""Layers whose outputs are added to the residual. Those of the MLP have a channel of large values beside small ones."""
BLOCKS = tuple(f"encoder.layer.{number}" for number in range(6))
SHORT_STEPS, LONG_STEPS = 80, 500
SEEDS = (0, 1, 2)
LEARNING_RATE = 2e-3
SIGN_LEARNING_RATES = {"short": 1e-3, "long": 2e-3}
"""Longer training averages more noise out of the signs' gradients."""
LOW_SIGN_RATE, HIGH_SIGN_RATE = 1e-4, 4e-3
NOISY_BATCH = 16
"""A quarter of the texts, twice the noise of the gradients."""
IMPORTANCE: Mapping[str, Any] = {"calibration": {"input_importance": True}}
"""Codebooks start where errors count as much as the inputs are large: all methods gain by it, trained or not."""


def table(
    rule: Mapping[str, Any] | None, *, steps: int, seed: int, optimizer: Mapping[str, Any] | None = None
) -> Table:
    """The recipe of one run; all methods have the same but for the rule and the learning rates that suit it."""
    rates = {"learning_rate": LEARNING_RATE, "warmup": 0.05, **(optimizer or {})}
    return {
        "model": {"name": "minilm", "frozen": ["embeddings.*"]},
        "data": {
            "kind": "glosses",
            "parts": ["noun", "verb", "adj", "adv"],
            "batch_size": 64,
            "held_out": 0.005,
            "evaluation_batch_size": 64,
        },
        "distillation": {"hidden_weight": 1.0},
        "optimizer": rates,
        "training": {
            "steps": steps,
            "seed": seed,
            "matmul": "bfloat16",
            "log_steps": max(1, steps // 40),
            "evaluate_steps": steps + 1,
        },
        "rules": []
        if rule is None
        else [{"pattern": ADDED, **rule, "output_gains": True}, {"pattern": LAYERS, **rule}],
    }


def _row(chosen: Method, variant: str, steps: int, seeds: Sequence[int], **changes: Any) -> Row:
    """A row of trained models; `changes` are settings of the recipe's sections and of the rule that differ."""
    sections, rule, optimizer = (dict(changes.get(part, {})) for part in ("sections", "rule", "optimizer"))
    runs = []
    for seed in seeds:
        content = table({**chosen.rule, **rule}, steps=steps, seed=seed, optimizer={**chosen.optimizer, **optimizer})
        for name, settings in sections.items():
            content[name] = {**content.get(name, {}), **settings}
        runs.append(Run(family="minilm", table=content))
    study = changes.get("study", "main")
    return Row(model="minilm", method=chosen.name, bits=chosen.bits, variant=variant, runs=tuple(runs), study=study)


def _trained_row(chosen: Method, variant: str, budget: Budget, steps: int, seeds: Sequence[int], **changes: Any) -> Row:
    """The same with what all trained models have."""
    sign_rate = {"sign_learning_rate": SIGN_LEARNING_RATES[budget]}
    optimizer = {**sign_rate, **chosen.optimizer, **changes.pop("optimizer", {})}
    sections = {**IMPORTANCE, **changes.pop("sections", {})}
    return _row(chosen, variant, steps, seeds, optimizer=optimizer, sections=sections, **changes)


def float_row() -> Row:
    """The model as it is."""
    return Row(
        model="minilm",
        method="float",
        bits=32,
        variant="pretrained",
        runs=(Run(family="minilm", table=table(None, steps=0, seed=0)),),
    )


def post_training_rows() -> list[Row]:
    """Without training: the encoder alone, weighted by the inputs' second moments, and reconstruction by blocks."""
    rows = [_row(chosen, "post-training", 0, (0,)) for chosen in MAIN]
    for chosen in (*UNIFORM[1:], *VQ, *MVQ, *SSVQ):
        rows.append(_row(chosen, "post-training, importance", 0, (0,), sections=IMPORTANCE))
    reconstruction = Reconstruction(blocks=BLOCKS, batches=8, steps=100, learning_rate=1e-3, sign_learning_rate=3e-4)
    for chosen in UNIFORM[1:]:
        rows.append(_reconstructed(chosen, "post-training, FlexRound", reconstruction, rule={"rounding": "flexround"}))
    for chosen in (*VQ[:2], *SSVQ[:2]):
        rows.append(_reconstructed(chosen, "post-training, reconstruction", reconstruction, sections=IMPORTANCE))
    return rows


def _reconstructed(chosen: Method, variant: str, reconstruction: Reconstruction, **changes: Any) -> Row:
    row = _row(chosen, variant, 0, (0,), **changes)
    runs = tuple(Run(family="minilm", table=run.table, reconstruction=reconstruction) for run in row.runs)
    return Row(model="minilm", method=row.method, bits=row.bits, variant=variant, runs=runs)


def trained_rows(steps: Mapping[Budget, int], seeds: Sequence[int] = SEEDS) -> list[Row]:
    """All methods after a short distillation; VQ and SSVQ after a long one."""
    rows = [_trained_row(chosen, "short", "short", steps["short"], seeds) for chosen in MAIN]
    for bits, count in ((1.5, len(seeds)), (2, 1)):
        for name in ("vq", "ssvq"):
            rows.append(_trained_row(method(name, bits), "long", "long", steps["long"], seeds[:count]))
    return rows


def ablation_rows(steps: Mapping[Budget, int], seeds: Sequence[int] = SEEDS) -> list[Row]:
    """SSVQ at k=16, d=8: what the signs do. "learnable" at the default rate is the row of the main table."""
    chosen = method("ssvq", 1.5)

    def row(variant: str, budget: Budget = "short", **changes: Any) -> Row:
        name = variant if budget == "short" else f"{variant}, {budget}"
        return _trained_row(chosen, name, budget, steps[budget], seeds, study="ablation", **changes)

    def freezing(**settings: Any) -> dict[str, Any]:
        return {"freezing": settings}

    budgets: tuple[Budget, ...] = ("short", "long")
    rows = [row("fixed signs", budget, rule={"learn_signs": False}) for budget in budgets]
    for label, rate in (("low", LOW_SIGN_RATE), ("high", HIGH_SIGN_RATE)):
        rates = {"sign_learning_rate": rate}
        rows.append(row(f"{label} sign rate", optimizer=rates))
        rows.append(row(f"{label} sign rate, majority", optimizer=rates, sections=freezing(variant="majority")))
    noisy = {"data": {"batch_size": NOISY_BATCH}}
    rows.append(row(f"batches of {NOISY_BATCH}", sections=noisy))
    rows.append(row(f"batches of {NOISY_BATCH}, majority", sections={**noisy, **freezing(variant="majority")}))
    for variant in ("majority", "average", "final"):
        rows.append(row(variant, sections=freezing(variant=variant)))
    rows.append(row("majority", "long", sections=freezing(variant="majority")))
    for fraction in (0.01, 0.05, 0.1):
        settings = freezing(variant="majority", interval_fraction=fraction)
        rows.append(row(f"majority, interval {fraction:g}", sections=settings))
    return rows
