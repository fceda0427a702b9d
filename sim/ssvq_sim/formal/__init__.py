"""What is proved of the hardware rather than tried, with Yosys, sby, the solver Yices, and ABC."""
