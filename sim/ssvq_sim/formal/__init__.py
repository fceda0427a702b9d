"""What is proved of the hardware rather than tried, with Yosys, sby and the solver Yices."""
