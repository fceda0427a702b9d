"""`python -m ssvq_sim.gates`."""

import typer

from .command import main

typer.run(main)
