"""What a finished training run leaves in its folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch

from ssvq.container import save
from ssvq.files import write_atomically
from ssvq.train.convert import compressed_layers
from ssvq.train.deploy import runs_in_integers
from ssvq.train.loop import evaluate
from ssvq.train.plain_state import plain_state
from ssvq.train.prepare import prepared_layers

if TYPE_CHECKING:
    from ssvq.train.run import Run

CONTAINER_NAME, WEIGHTS_NAME, RESULT_NAME = "model.ssvq", "model.safetensors", "result.json"


@dataclass(frozen=True, kw_only=True)
class Results:
    """How well the model does.

    Attributes:
        metrics: by the state of the model: "float", "start" (compressed, not trained), "simulated" (trained, in
            floating point on the integers' grid) and "final" (as on the core).
        bits_per_weight: of the compressed layers; None if there are none.
    """

    metrics: dict[str, dict[str, float]]
    bits_per_weight: float | None


@torch.no_grad()
def write_results(run: Run) -> Results:
    """Evaluate a trained model and write `result.json`, `model.safetensors` and, of compressed layers, `model.ssvq`.

    `model.safetensors` has the state dict of the model that the recipe names, with the weights as they are stored: a
    checkpoint for the next recipe, and for `ssvq compile` beside the container.

    Raises:
        OSError: a file cannot be written.
    """
    trainer, folder = run.trainer, run.recipe.folder
    metrics = dict(run.before)
    with run.display.doing("evaluate the trained model"):
        if runs_in_integers(trainer.model) and not run.brief:
            metrics["simulated"] = trainer.task.evaluate(trainer.model, trainer.teacher, trainer.processes)
        metrics["final"] = evaluate(trainer)
    bits: float | None = None
    layers = compressed_layers(trainer.model) if prepared_layers(trainer.model) else {}
    if layers:
        bits = sum(layer.storage_bits for layer in layers.values()) / sum(x.weight_count for x in layers.values())
    results = Results(metrics=metrics, bits_per_weight=bits)
    if trainer.processes.is_first:
        if layers:
            save(folder / CONTAINER_NAME, layers)
        write_atomically(folder / WEIGHTS_NAME, safetensors.torch.save(plain_state(trainer.model)))
        text = json.dumps(_report(run, results), indent=2)
        write_atomically(folder / RESULT_NAME, f"{text}\n".encode())
    run.display.results(metrics, bits)
    run.display.note(f"results are in {folder}")
    return results


def _report(run: Run, results: Results) -> dict[str, Any]:
    trainer = run.trainer
    signs = None if trainer.freezer is None else trainer.freezer.stats().total
    return {
        "metrics": results.metrics,
        "bits_per_weight": results.bits_per_weight,
        "steps": trainer.step,
        "signs": None
        if signs is None
        else {"count": signs.signs, "changed": signs.changed_share, "frozen": signs.frozen_share},
        "processes": trainer.processes.part.count,
        "digest": run.recipe.digest(),
        "settings": run.recipe.to_dict(),
    }
