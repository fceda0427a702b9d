"""Names of the small simulation's files below a core's folder, which `ssvq_sim.smoke` writes."""

TEST_BENCH = "ssvq_core_tb"
"""Top module of the simulation."""
TEST_BENCH_FILE = f"sim/{TEST_BENCH}.v"
PARAMETERS_FILE = f"sim/{TEST_BENCH}.vh"
MEMORY_FILE = "sim/memory.hex"
EXPECTED_FILE = "sim/expected.hex"
