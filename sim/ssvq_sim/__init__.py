"""Test-bench parts: Verilator builds, the DRAM model, the simulated bus and checkers."""
