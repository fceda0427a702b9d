"""PyTorch's operations, in terms of the operator set."""

from ssvq.network.aten import arithmetic, layers, movement, windows
from ssvq.network.aten.table import DECOMPOSED, TABLE, Handler

__all__ = ["DECOMPOSED", "TABLE", "Handler", "arithmetic", "layers", "movement", "windows"]
