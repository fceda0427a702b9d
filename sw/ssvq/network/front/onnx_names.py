"""Names of modules in ONNX files."""

from __future__ import annotations

import ast
import re

import onnx

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operations with a weight as their second input."""


class ModuleNames:
    """What names of initializers and nodes tell of the modules that a file was exported from."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        parameters = [tensor.name.split(".")[:-1] for tensor in graph.initializer]
        self._modules = {".".join(parts[:depth]) for parts in parameters for depth in range(1, len(parts) + 1)}
        self._bias_owners = {
            product: bias.removesuffix(".bias")
            for node in graph.node
            if node.op_type == "Add"
            for product, bias in (node.input, reversed(node.input))
            if bias.endswith(".bias")
        }

    def scope(self, node: onnx.NodeProto) -> str:
        """Full name of the module that a node is in, or the node's own name where an exporter gives no module's.

        PyTorch's exporter has the modules as a path. A module in a container has the container's name in its own, and
        in the path twice if the container was called: `/blocks/blocks.0/norm1/Add` is in `blocks.0.norm1`, but
        `/encoder/layer.0/norm1/Add` in `encoder.layer.0.norm1`. What fits the modules that have weights is right.
        """
        for entry in node.metadata_props:
            if entry.key == "pkg.torch.onnx.name_scopes":
                scopes = ast.literal_eval(entry.value)
                return str(scopes[-2]) if len(scopes) > 1 else ""
        if not node.name.startswith("/"):
            return str(node.name).replace("/", ".")
        plain = node.name.strip("/").split("/")[:-1]
        folded = [
            part
            for part, following in zip(plain, [*plain, ""][1:], strict=True)
            if not following.startswith(f"{part}.")
        ]
        return max((".".join(folded), ".".join(plain)), key=self._known_depth)

    def layer(self, node: onnx.NodeProto) -> str | None:
        """Full name of a layer, of its weight, or else of its bias, or else of the node; None for other nodes.

        PyTorch's exporter gives transposed weights new names. A node's path lacks containers that are not called
        themselves, and equal biases become one, so that only a bias whose module fits the path counts.
        """
        if node.op_type not in LAYERS:
            return None
        weight = str(node.input[1])
        if weight.endswith(".weight"):
            return weight.removesuffix(".weight")
        path = self.scope(node)
        owner = self._bias_owners.get(node.output[0])
        return owner if owner is not None and _fits(path, owner) else path or None

    def _known_depth(self, name: str) -> int:
        """How many parts of a module's name are those of a module that is known."""
        parts = name.split(".")
        return max((depth for depth in range(1, len(parts) + 1) if ".".join(parts[:depth]) in self._modules), default=0)


def _fits(path: str, module: str) -> bool:
    """Whether a module's name has all parts of a path, in their order; a path's last part may have a number added."""
    *parents, last = path.split(".")
    parts = iter(module.split("."))
    return all(part in parts for part in (*parents, re.sub(r"_\d+$", "", last)))
