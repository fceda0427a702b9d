"""The `ssvq` command. Torch takes seconds to import, so commands import what they need when they run."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from ssvq.cli import compile, compress, inspect, report, run, train
from ssvq.cli.errors import BAD_INPUT, ending_with

DISTRIBUTION = "ssvq-core"
"""The installed package, whose metadata have the version."""

app = typer.Typer(
    help="""Compress, train, compile and run networks for the SSVQ core.

    From a model to a run: compress (or train), compile, run, report; inspect shows what is in any of the files.
    """,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        with ending_with(BAD_INPUT, PackageNotFoundError):
            typer.echo(f"ssvq {version(DISTRIBUTION)}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """What goes before the command; the text of the help is the application's."""


app.command(help=compress.HELP)(compress.compress)
app.command(help=compile.HELP)(compile.compile)
app.command(help=run.HELP)(run.run)
app.command(help=report.HELP)(report.report)
app.command(help=inspect.HELP)(inspect.inspect)
app.command(help=train.HELP)(train.train)
app.command()(train.recipes)
app.command()(inspect.info)

__all__ = ["app"]
