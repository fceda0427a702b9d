"""`python -m ssvq_sim.faults`."""

import typer

from .command import main

typer.run(main)
