"""`python -m ssvq_sim.systems`."""

import typer

from .command import main

typer.run(main)
