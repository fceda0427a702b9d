"""Functions of a host's operations in files: data that name operations out of fixed lists."""

from __future__ import annotations

from ssvq.network.errors import GraphError
from ssvq.network.files.torch_values import name_of
from ssvq.network.files.tree_codec import Codec, CodecError
from ssvq.network.graph import Graph
from ssvq.network.hosting.onnx_function import OnnxAttribute, OnnxFunction, ResizeFunction
from ssvq.network.hosting.operation_names import ONNX, ONNX_ML
from ssvq.network.hosting.torch_function import Operand, TorchFunction
from ssvq.network.operators import Host, HostFunction

CLASSES = (TorchFunction, Operand, OnnxFunction, OnnxAttribute, ResizeFunction)
"""What a file may have as a Host's function, and what that is of."""

_ONNX = {"": ONNX, "ai.onnx.ml": ONNX_ML}
_CODEC = Codec.of(CLASSES)


def require_known_functions(graph: Graph) -> None:
    """Raises GraphError where a host's function is none that a file may name; it names the node."""
    for node in graph.nodes:
        if isinstance(node.operator, Host) and not _is_known(node.operator.function):
            operation = node.operator.operation
            raise GraphError(node.name, f"a file must name what the host runs, and cannot name {operation}")


def require_storable(graph: Graph) -> None:
    """Raises GraphError where a file cannot hold a host's function; it names the node, before anything is compiled."""
    require_known_functions(graph)
    for node in graph.nodes:
        if isinstance(node.operator, Host):
            try:
                _CODEC.encode(node.operator.function)
            except CodecError as error:
                raise GraphError(node.name, f"a file must hold {node.operator.operation}: {error}") from error


def _is_known(function: HostFunction) -> bool:
    if isinstance(function, TorchFunction):
        return name_of(function.operation) is not None
    if isinstance(function, OnnxFunction):
        return function.operation in _ONNX.get(function.domain, ())
    return isinstance(function, ResizeFunction)
