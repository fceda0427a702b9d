"""PyTorch's operations, in terms of the operator set."""

from ssvq.network.aten import arithmetic, layers, movement, windows
from ssvq.network.aten.table import CREATION, DECOMPOSED, TABLE

__all__ = ["CREATION", "DECOMPOSED", "TABLE", "arithmetic", "layers", "movement", "windows"]
