"""Mutants of the `tiny` core in simulation: whether the scenarios notice when one bit of the core is wrong."""

from .report import Report
from .run import Settings, run_mutants

__all__ = ["Report", "Settings", "run_mutants"]
