"""Files for simulation below a core's folder: names of those that `ssvq_sim.smoke` writes, and models of cells."""

from __future__ import annotations

from ..config import CoreConfig
from ..verilog import cell_models

TEST_BENCH = "ssvq_core_tb"
"""Top module of the simulation."""
TEST_BENCH_FILE = f"sim/{TEST_BENCH}.v"
PARAMETERS_FILE = f"sim/{TEST_BENCH}.vh"
MEMORY_FILE = "sim/memory.hex"
EXPECTED_FILE = "sim/expected.hex"


def cell_model_files(config: CoreConfig) -> dict[str, str]:
    """Models of vendors' cells by their names below the core's folder; every simulation of the core needs them."""
    return {f"sim/{name}": text for name, text in cell_models(config).items()}
