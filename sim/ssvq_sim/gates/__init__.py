"""Synthesized netlists in the co-simulation: whether the core does the same when it is made of an FPGA's cells."""
