"""Mutants of the `tiny` core in simulation: whether the scenarios notice when one bit of the core is wrong.

`ssvq_sim.mutants.run.run_mutants` is the whole of it. Nothing is imported here: verdicts depend on what the simulator's
process imports.
"""
