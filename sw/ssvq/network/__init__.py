"""A network as a graph over a small set of operators: what is quantized and compiled for the core.

`graph_of` reads a PyTorch module, `ssvq.network.front.from_onnx.graph_of_onnx` an ONNX file (package `onnx`, of the
extra `models`). Operators are in `ssvq.network.operators`.
"""

from ssvq.network.errors import GraphError
from ssvq.network.float_executor import execute, execute_all
from ssvq.network.front.from_torch import graph_of
from ssvq.network.graph import Graph, Node
from ssvq.network.tensor_type import TensorType
from ssvq.network.work_report import WorkReport, work_report

__all__ = [
    "Graph",
    "GraphError",
    "Node",
    "TensorType",
    "WorkReport",
    "execute",
    "execute_all",
    "graph_of",
    "work_report",
]
