"""Families whose netlists are compared, and what their cells do."""

from __future__ import annotations

from dataclasses import dataclass

from ssvq_gen.synthesis.targets import TARGETS, Target


@dataclass(frozen=True, kw_only=True)
class Family:
    """A target of synthesis, and the file of Yosys that says in Verilog what its cells do."""

    target: Target
    models: str

    @property
    def name(self) -> str:
        """What the command line calls it."""
        return self.target.name


FAMILIES: dict[str, Family] = {
    name: Family(target=TARGETS[name], models=models)
    for name, models in (
        ("xc7", "+/xilinx/cells_sim.v"),
        ("ecp5", "+/lattice/cells_sim_ecp5.v"),
        ("ice40", "+/ice40/cells_sim.v"),
    )
}
"""By name."""
