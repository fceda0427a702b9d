"""`python -m ssvq_sim.unknowns`."""

import typer

from .command import main

typer.run(main)
