"""Families whose netlists are compared, and what their cells do."""

from __future__ import annotations

from dataclasses import dataclass

from ssvq_gen.synthesis.targets import TARGETS, Target


@dataclass(frozen=True, kw_only=True)
class Family:
    """A target of synthesis, the file of Yosys that says in Verilog what its cells do, and cells of which that file has
    ports and nothing else."""

    target: Target
    models: str
    stubs: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the command line calls it."""
        return self.target.name


FAMILIES: dict[str, Family] = {
    name: Family(target=TARGETS[name], models=models, stubs=stubs)
    for name, models, stubs in (
        ("xc7", "+/xilinx/cells_sim.v", ("RAMB18E1", "RAMB36E1", "DSP48E1")),
        ("ecp5", "+/lattice/cells_sim_ecp5.v", ("DP16KD", "PDPW16KD", "MULT18X18D", "ALU54B")),
        ("ice40", "+/ice40/cells_sim.v", ("SB_SPRAM256KA", "SB_MAC16")),
    )
}
"""By name. Multipliers count as stubs: the models of some are none, and no solver sees through those of the others."""
