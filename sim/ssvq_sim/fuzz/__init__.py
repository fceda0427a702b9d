"""Fuzzing of everything that reads a file from elsewhere: `python -m ssvq_sim.fuzz --help`.

`targets` says for each reader how a valid file is made and which errors a refusal may be. `execution` gives one input
to a reader under limits and judges what comes of it. `examples` makes inputs that have a structure, with Hypothesis;
`guided` makes inputs that reach new code, with Atheris. `run` shares the work out to processes and adds up.
"""
