"""Synthesis and place and route of cores: what they take of an FPGA, and how fast they run on it."""
