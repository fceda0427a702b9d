"""`ssvq train` and `ssvq recipes`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssvq.cli.errors import BAD_INPUT, FAILED, ending_with, fail

if TYPE_CHECKING:
    from ssvq.train.run import Run

SIGNAL_BASE = 128
"""Added to a signal's number, that is the exit code of what the signal ended."""
HELP = """Train a model whose weights are compressed, from a recipe.

A recipe is a TOML file, or one of those that `ssvq recipes` lists. A small one:

\b
    [model]
    name = "fashion_vit"                  # or "deit_tiny", "timm:NAME", "file:PATH.py:FUNCTION", ...
    checkpoint = "fashion.safetensors"    # a trained float model
    [data]
    kind = "fashion-mnist"                # or "image-folder", "text", "glosses"
    batch_size = 128
    [[rules]]                             # the first that matches a layer's name decides;
    pattern = "blocks.*"                  # without rules the float model is trained
    format = "ssvq"
    codebook_size = 16
    vector_dim = 8
    [optimizer]
    learning_rate = 1e-3
    [training]
    epochs = 10
    [freezing]                            # progressive freezing of signs
    [distillation]                        # off without this section; the float model teaches

The folder of results gets checkpoints, metrics.csv, TensorBoard's logs, and at the end model.ssvq (compressed layers),
model.safetensors and result.json. The same command again goes on from the newest checkpoint, and comes to the same
numbers as without a break.

Several processes or machines: `torchrun --nproc-per-node 8 -m ssvq train RECIPE`, or `accelerate launch -m ssvq train
RECIPE`; the batch is divided among them.

With SSVQ_TRACEBACK=1 in the environment, errors show where they come from.
"""


def train(
    recipe: Annotated[str, typer.Argument(help="TOML file, or name of a packaged recipe", metavar="RECIPE")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, as training.epochs=2; may be repeated."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder of results (default: build/train/NAME).")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew, even if there is a checkpoint.")] = False,
) -> None:
    """Train from a recipe; the texts above are the user's."""
    overrides = [*(settings or []), *([f"output.folder={json.dumps(str(output))}"] if output else [])]
    run = _set_up(recipe, overrides, fresh=fresh)
    from ssvq.train.interrupt import Interrupt
    from ssvq.train.run import finish
    from ssvq.train.trainer import TrainingError

    with Interrupt() as interrupt:
        try:
            results = finish(run, interrupt)
        except (TrainingError, OSError) as error:
            fail(error, FAILED)
    run.trainer.processes.end()
    if results is None:
        run.display.note(f"stopped after step {run.trainer.step}; the same command goes on from there")
        raise typer.Exit(SIGNAL_BASE + (interrupt.signal or 0))


def recipes(name: Annotated[str | None, typer.Argument(help="Print this one, to make your own of it.")] = None) -> None:
    """List the recipes that come with this package, or print one."""
    from ssvq.train.recipe import packaged_recipes, read_recipe

    if name is None:
        for recipe in packaged_recipes():
            typer.echo(f"{recipe:24} {read_recipe(recipe)[1].splitlines()[0].removeprefix('# ')}")
        return
    try:
        typer.echo(read_recipe(name)[1], nl=False)
    except ValueError as error:
        fail(error, BAD_INPUT)


def _set_up(recipe: str, overrides: list[str], *, fresh: bool) -> Run:
    """Everything before training starts, where errors are the user's."""
    from ssvq.layer_arithmetic import CompileError
    from ssvq.train.processes import Processes
    from ssvq.train.recipe import Recipe
    from ssvq.train.run import set_up

    kinds = (ValueError, TypeError, OSError, ImportError, RuntimeError, CompileError)
    with ending_with(BAD_INPUT, *kinds):
        return set_up(Recipe.load(recipe, overrides), Processes.start(), fresh=fresh)
