"""What training compressed layers costs: time of a step against the uncompressed model's, and memory of the signs.

Run `python -m ssvq.train.benchmark`.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.nn import functional

from ssvq.models.vision_transformer import fashion_vit
from ssvq.quantize.formats import QuantizeConfig, WeightFormat
from ssvq.quantize.rules import Rule
from ssvq.train.activations import ActivationConfig
from ssvq.train.calibrate import calibrate
from ssvq.train.freezing import FreezeConfig, SignFreezer
from ssvq.train.prepare import TrainConfig, latent_signs, prepare

Step = Callable[[], None]
TOTAL_STEPS = 1000
"""Length of the run that the freezer is made for; only its constants depend on it."""


def main(
    rounds: Annotated[int, typer.Option(min=3, help="Steps of each kind, in turn.")] = 20,
    batch_size: Annotated[int, typer.Option(min=1, help="Images in a batch.")] = 128,
    learn_ranges: Annotated[bool, typer.Option(help="Let the scales of activations learn, too.")] = False,
) -> None:
    """Time training steps of the Fashion-MNIST ViT: float, SSVQ, SSVQ with int8 activations, and with freezing."""
    torch.manual_seed(0)
    images, labels = torch.randn(batch_size, 1, 28, 28), torch.randint(10, (batch_size,))
    plain = fashion_vit()
    activations = ActivationConfig(learn=learn_ranges)
    weights_only, full = _prepared(plain, None, images), _prepared(plain, activations, images)
    freezing = copy.deepcopy(full)
    freezer = SignFreezer(latent_signs(freezing), FreezeConfig(), TOTAL_STEPS)
    steps: dict[str, Step] = {
        "float": _step(plain, images, labels),
        "SSVQ": _step(weights_only, images, labels),
        "SSVQ, int8 activations": _step(full, images, labels),
        "SSVQ, int8 activations, freezing": _step(freezing, images, labels, freezer),
    }
    seconds = _interleaved(steps, rounds)
    base = statistics.median(seconds["float"])
    table = Table("step", "median ms", "of float", title=f"Training step, batch {batch_size}")
    for name, values in seconds.items():
        median = statistics.median(values)
        table.add_row(name, f"{1e3 * median:.1f}", f"{median / base:.2f}")
    console = Console()
    console.print(table)
    signs = sum(latent.numel() for latent in latent_signs(freezing).values())
    console.print(f"State of the freezer: {freezer.state_bytes() / signs:.2f} bytes for each of {signs:,} signs")


def _prepared(plain: nn.Module, activations: ActivationConfig | None, images: torch.Tensor) -> nn.Module:
    model = copy.deepcopy(plain)
    weights = QuantizeConfig(format=WeightFormat.SSVQ, codebook_size=16, vector_dim=8)
    rules = [Rule(pattern="blocks.*", config=TrainConfig(weights=weights, activations=activations))]
    prepare(model, rules, example_inputs=(images[:2],), progress=False)
    if activations is not None:
        calibrate(model, [images], lambda module, batch: module(batch))
    return model


def _step(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, freezer: SignFreezer | None = None) -> Step:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model.train()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if freezer is not None:
            freezer.step()

    return step


def _interleaved(steps: dict[str, Step], rounds: int) -> dict[str, list[float]]:
    """Seconds of every step; one of each kind in turn, so that other load on the machine meets all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if number > 0:  # the first warms up
                seconds[name].append(time.perf_counter() - start)
    return seconds


if __name__ == "__main__":
    typer.run(main)
