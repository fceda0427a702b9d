"""`python -m ssvq`: the `ssvq` command, in the form that `torchrun -m` and `accelerate launch -m` start."""

from ssvq.cli import app

app(prog_name="ssvq")
