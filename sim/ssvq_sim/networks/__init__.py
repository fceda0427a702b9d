"""Whole networks on the simulated core and on the integer reference: what they cost, and how close to float they are.

`python -m ssvq_sim.networks` is `make networks`.
"""
