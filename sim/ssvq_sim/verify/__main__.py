"""`python -m ssvq_sim.verify`."""

import typer

from .command import main

typer.run(main)
