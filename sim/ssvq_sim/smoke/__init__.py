"""A small self-checking simulation of a core for any Verilog simulator: test bench, memory image, expected output."""
