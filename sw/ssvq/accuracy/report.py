"""The results as files: `accuracy.json`, tables in Markdown, and figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ssvq.accuracy.figures import draw_curves, draw_tradeoff
from ssvq.accuracy.store import Outcome, write_outcomes
from ssvq.accuracy.study import Row
from ssvq.accuracy.summary import Figure, Found, outcomes, summarise
from ssvq.files import write_atomically

JSON_NAME, TABLES_NAME, RUNS_NAME = "accuracy.json", "README.md", "runs.jsonl"
TITLES = {
    "minilm": "MiniLM-L6, distilled on WordNet's definitions",
    "fashion_vit": "ViT (DeiT's block, 455k parameters) on Fashion-MNIST",
    "fashion_resnet": "ResNet (175k parameters) on Fashion-MNIST",
    "efficientnet_lite0": "EfficientNet-Lite0",
    "vit_s_saliency": "ViT-S saliency",
}
HEADING = """# Accuracy

Written by `make accuracy`; every figure is also in [accuracy.json](accuracy.json), and the single runs, with what
training logged, are in [runs.jsonl](runs.jsonl). Figures are of the converted integer model: weights as stored in the
container, int8 activations, the core's arithmetic in every compressed layer. `bits` are the stored bits of a weight
with codebook and scales, `ratio` is float32 over the whole container file. Mean and standard deviation over the seeds;
one seed has no deviation. [Training](../training.md) says what the methods are and what the budgets were.
"""


def write_report(folder: Path, rows: Sequence[Row], found: Found) -> list[Figure]:
    """Write all files of a folder, which is made; returns the figures."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = summarise(rows, found)
    plain = {"rows": [figure.to_dict() for figure in figures]}
    write_atomically(folder / JSON_NAME, f"{json.dumps(plain, indent=1)}\n".encode())
    write_outcomes(folder / RUNS_NAME, _all_outcomes(rows, found))
    done = sum(len(outcomes(row, found)) for row in rows)
    progress = f"{done} of the plan's {sum(len(row.runs) for row in rows)} runs are in these tables.\n"
    write_atomically(folder / TABLES_NAME, _tables(rows, figures, progress).encode())
    draw_tradeoff(folder, figures)
    draw_curves(folder, rows, found)
    return figures


def _all_outcomes(rows: Sequence[Row], found: Found) -> list[Outcome]:
    unique = {outcome.digest: outcome for row in rows for outcome in outcomes(row, found)}
    return list(unique.values())


def _tables(rows: Sequence[Row], figures: Sequence[Figure], progress: str) -> str:
    parts = [HEADING, progress]
    for model in dict.fromkeys(row.model for row in rows):
        for study in ("main", "ablation"):
            names = {(row.method, row.variant, row.bits) for row in rows if (row.model, row.study) == (model, study)}
            chosen = [f for f in figures if f.model == model and (f.method, f.variant, f.bits_nominal) in names]
            if chosen:
                parts.append(f"## {TITLES[model]}{': signs at k=16, d=8' if study == 'ablation' else ''}\n")
                parts.append(_table(chosen))
    return "\n".join(parts)


def _table(figures: Sequence[Figure]) -> str:
    metrics = list(dict.fromkeys(figure.metric for figure in figures))
    lines: dict[tuple[str, str, float], dict[str, Figure]] = {}
    for figure in figures:
        lines.setdefault((figure.method, figure.variant, figure.bits_nominal), {})[figure.metric] = figure
    heads = ["method", "variant", "bits", "ratio", "seeds", *metrics]
    text = [f"| {' | '.join(heads)} |", f"| {' | '.join('---' for _ in heads)} |"]
    for (method, variant, _), found in lines.items():
        one = next(iter(found.values()))
        cells = [method, variant, f"{one.bits_per_weight:.3f}", f"{one.file_ratio:.1f}", str(one.seeds)]
        cells += [_cell(found[metric]) if metric in found else "" for metric in metrics]
        text.append(f"| {' | '.join(cells)} |")
    return "\n".join(text) + "\n"


def _cell(figure: Figure) -> str:
    spread = f" ± {figure.std:.4f}" if figure.std is not None else ""
    error = f" (s.e. {figure.standard_error:.4f})" if figure.standard_error is not None else ""
    return f"{figure.mean:.4f}{spread}{error}"
