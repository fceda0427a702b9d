"""PyTorch's operations, in terms of the operator set."""

from ssvq.network.front.aten import arithmetic, layers, masks, movement, windows
from ssvq.network.front.aten.table import CREATION, DECOMPOSED, TABLE

__all__ = ["CREATION", "DECOMPOSED", "TABLE", "arithmetic", "layers", "masks", "movement", "windows"]
