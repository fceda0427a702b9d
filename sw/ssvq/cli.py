"""The `ssvq` command."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from ssvq.train.run import Run

# torch takes seconds to import, so commands import what they need when they run
BAD_INPUT, FAILED, SIGNAL_BASE = 2, 1, 128
TRAIN_HELP = """Train a model whose weights are compressed, from a recipe.

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

app = typer.Typer(
    help="Compress and train PyTorch models for the SSVQ core.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _main() -> None:
    """Makes the commands subcommands, however many there are."""


@app.command(help=TRAIN_HELP)
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
            _fail(error, FAILED)
    run.trainer.processes.end()
    if results is None:
        run.display.note(f"stopped after step {run.trainer.step}; the same command goes on from there")
        raise typer.Exit(SIGNAL_BASE + (interrupt.signal or 0))


@app.command()
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
        _fail(error, BAD_INPUT)


@app.command()
def info(file: Annotated[Path, typer.Argument(help="Container of compressed layers, such as model.ssvq.")]) -> None:
    """Show the layers of a container, and what they take."""
    from rich.console import Console

    from ssvq.container import ContainerError, load
    from ssvq.layer_table import layer_table

    try:
        layers = load(file)
    except (ContainerError, OSError) as error:
        _fail(error, BAD_INPUT)
    Console(width=None if sys.stdout.isatty() else 120).print(layer_table(layers.values()))


def _set_up(recipe: str, overrides: list[str], *, fresh: bool) -> Run:
    """Everything before training starts, where errors are the user's."""
    from ssvq.layer_arithmetic import CompileError
    from ssvq.train.processes import Processes
    from ssvq.train.recipe import Recipe
    from ssvq.train.run import set_up

    try:
        return set_up(Recipe.load(recipe, overrides), Processes.start(), fresh=fresh)
    except (ValueError, TypeError, OSError, ImportError, RuntimeError, CompileError) as error:
        if os.environ.get("SSVQ_TRACEBACK"):
            raise
        _fail(error, BAD_INPUT)


def _fail(error: Exception, code: int) -> NoReturn:
    """End with one line."""
    rank = os.environ.get("RANK", "0")
    where = "" if rank == "0" else f" (process {rank})"
    typer.echo(f"error{where}: {' '.join(str(error).split())}", err=True)
    raise typer.Exit(code)


if __name__ == "__main__":
    app(prog_name="ssvq")
