"""From a float graph to an integer network: every operator as steps of the core, every movement as a view."""

from ssvq.network.integer.lowering.lower import lower

__all__ = ["lower"]
