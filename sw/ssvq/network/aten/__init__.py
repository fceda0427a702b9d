"""PyTorch's operations, in terms of the operator set."""

from ssvq.network.aten import arithmetic, layers, movement, windows
from ssvq.network.aten.table import CREATION, DECOMPOSED, TABLE, Handler

__all__ = ["CREATION", "DECOMPOSED", "TABLE", "Handler", "arithmetic", "layers", "movement", "windows"]
