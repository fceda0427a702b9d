"""A core for other people's flows: FuseSoC, Vivado, constraints, and a release archive."""
