"""The `ssvq` command. Torch takes seconds to import, so commands import what they need when they run."""

from __future__ import annotations

import typer

from ssvq.cli import compile, compress, inspect, report, run, train

app = typer.Typer(
    help="""Compress, train, compile and run networks for the SSVQ core.

    From a model to a run: compress (or train), compile, run, report; inspect shows what is in any of the files.
    """,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command(help=compress.HELP)(compress.compress)
app.command(help=compile.HELP)(compile.compile)
app.command(help=run.HELP)(run.run)
app.command(help=report.HELP)(report.report)
app.command(help=inspect.HELP)(inspect.inspect)
app.command(help=train.HELP)(train.train)
app.command()(train.recipes)
app.command()(inspect.info)

__all__ = ["app"]
