"""Figures of the results, as SVG and PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssvq.accuracy.study import Row
from ssvq.accuracy.summary import Figure, Found, outcomes

HEADLINE = {
    "minilm": ("cosine", ("short", "long", "post-training")),
    "fashion_vit": ("accuracy", ("fine-tuned",)),
    "fashion_resnet": ("accuracy", ("fine-tuned",)),
    "efficientnet_lite0": ("photos agreement", ("post-training", "distilled")),
    "vit_s_saliency": ("photos overlap", ("post-training", "distilled")),
}
"""By model, the metric that is drawn against bits, and its variants."""
CURVES = {"sign_flip_rate": "signs flipped in a step", "signs_changed": "signs changed", "signs_frozen": "signs frozen"}
STYLE: dict[Any, Any] = {"svg.hashsalt": "ssvq", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3}
"""The salt makes equal figures equal files."""


def draw_tradeoff(folder: Path, figures: Sequence[Figure]) -> None:
    """Accuracy against stored bits per weight, one panel for each model."""
    models = [model for model in HEADLINE if any(figure.model == model for figure in figures)]
    if not models:
        return
    plot, axes = _panels(len(models))
    for axis, model in zip(axes, models, strict=True):
        metric, variants = HEADLINE[model]
        own = [figure for figure in figures if (figure.model, figure.metric) == (model, metric)]
        for variant in variants:
            for method in dict.fromkeys(figure.method for figure in own):
                line = sorted(
                    (f for f in own if (f.method, f.variant) == (method, variant)), key=lambda f: f.bits_per_weight
                )
                if line:
                    bits = [figure.bits_per_weight for figure in line]
                    label = method if len(variants) == 1 else f"{method}, {variant}"
                    means, spread = [f.mean for f in line], [f.std or 0.0 for f in line]
                    axis.errorbar(bits, means, yerr=spread, marker="o", markersize=3, capsize=2, label=label)
        for figure in own:
            if figure.method == "float":
                axis.axhline(figure.mean, color="black", linewidth=0.8, linestyle=":", label="float")
        axis.set(title=model, xlabel="stored bits per weight", ylabel=metric)
        axis.legend(fontsize=6)
    _save(plot, folder / "accuracy")


def draw_curves(folder: Path, rows: Sequence[Row], found: Found) -> None:
    """What signs do over training, first seed of every row that learns them."""
    lines = [
        (row, done[0].curve)
        for row in rows
        if row.model == "minilm" and (done := outcomes(row, found)) and any(done[0].curve.get(name) for name in CURVES)
    ]
    lines = [(row, curve) for row, curve in lines if row.study == "ablation" or row.bits == 1.5]
    if not lines:
        return
    plot, axes = _panels(len(CURVES))
    for axis, (column, title) in zip(axes, CURVES.items(), strict=True):
        for row, curve in lines:
            values = curve.get(column, [])
            steps = curve.get("step", [])
            total = steps[-1] if steps else None
            if values and total:
                shares = [(step or 0.0) / total for step in steps]
                axis.plot(shares, [100 * (v or 0.0) for v in values], linewidth=1, label=row.variant)
        axis.set(title=title, xlabel="share of training", ylabel="%")
    axes[-1].legend(fontsize=5)
    _save(plot, folder / "signs")


def _panels(count: int) -> tuple[Any, list[Any]]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams.update(STYLE)
    plot, axes = pyplot.subplots(1, count, figsize=(4.2 * count, 3.6), squeeze=False, layout="constrained")
    return plot, list(axes[0])


def _save(plot: Any, path: Path) -> None:
    from matplotlib import pyplot

    plot.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    plot.savefig(path.with_suffix(".png"), dpi=150, metadata={"Software": None})
    pyplot.close(plot)
