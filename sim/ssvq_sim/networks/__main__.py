"""`python -m ssvq_sim.networks`."""

import typer

from .command import main

typer.run(main)
