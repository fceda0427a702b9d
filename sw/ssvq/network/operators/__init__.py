"""The operator set: one frozen dataclass for each kind, with its attributes, and the rule for its result's type."""

from ssvq.network.operators.arithmetic import (
    Add,
    Clamp,
    Elementwise,
    Function,
    LayerNorm,
    MatMul,
    Mean,
    Multiply,
    ScaleShift,
    Softmax,
    Where,
)
from ssvq.network.operators.base import Operator
from ssvq.network.operators.host import Host, HostFunction
from ssvq.network.operators.layers import Conv2d, ConvTranspose2d, Embedding, Linear
from ssvq.network.operators.masks import Cast, Not
from ssvq.network.operators.movement import MOVEMENT, Concat, Expand, Pad, Reshape, Slice, Transpose
from ssvq.network.operators.pooling import AveragePool, MaxPool
from ssvq.network.operators.window import Padding, Pair

__all__ = [
    "MOVEMENT",
    "Add",
    "AveragePool",
    "Cast",
    "Clamp",
    "Concat",
    "Conv2d",
    "ConvTranspose2d",
    "Elementwise",
    "Embedding",
    "Expand",
    "Function",
    "Host",
    "HostFunction",
    "LayerNorm",
    "Linear",
    "MatMul",
    "MaxPool",
    "Mean",
    "Multiply",
    "Not",
    "Operator",
    "Pad",
    "Padding",
    "Pair",
    "Reshape",
    "ScaleShift",
    "Slice",
    "Softmax",
    "Transpose",
    "Where",
]
