"""ONNX's operations, in terms of the operator set."""

from ssvq.network.front.onnx_operations import arithmetic, layers, masks, movement, windows
from ssvq.network.front.onnx_operations.table import TABLE

__all__ = ["TABLE", "arithmetic", "layers", "masks", "movement", "windows"]
