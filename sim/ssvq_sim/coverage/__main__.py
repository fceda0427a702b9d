"""`python -m ssvq_sim.coverage`."""

import typer

from .command import main

typer.run(main)
