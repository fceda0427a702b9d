"""What is known while a graph is lowered: where values are, what their integers mean, and the steps so far."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import NoReturn

import torch

from ssvq.masked_softmax import KEEP_SCALE
from ssvq.network import operators as ops
from ssvq.network.calibration import ValueRange
from ssvq.network.errors import GraphError
from ssvq.network.graph import Graph, Node
from ssvq.network.integer.integer_network import IntegerNetwork, NetworkInput, Step, StoredTensor
from ssvq.network.integer.strided import Block, View, block_of, inverse_order, stored_order
from ssvq.network.integer.value_scales import value_scales
from ssvq.network.tensor_type import Shape
from ssvq.quantize.layer import CompressedLayer
from ssvq.reference import ActivationScale

PIXELS_LAST = (0, 2, 3, 1)
"""Axes of (B, C, H, W) with the channels last, as images are stored."""
CHANNELS_SECOND = (0, 3, 1, 2)
"""And back."""
ACTIVATIONS = {(0.0, math.inf): "relu", (0.0, 6.0): "relu6"}
"""Clamps that a layer does, by their bounds."""
_IMAGE_OPERATORS = (ops.Conv2d, ops.ConvTranspose2d, ops.AveragePool, ops.MaxPool)
_ELEMENT_OPERATORS = (ops.Add, ops.Multiply, ops.ScaleShift, ops.Clamp, ops.Elementwise)


class Lowering:
    """The state that the handlers of operators read and add to.

    Attributes:
        graph: the network in floating point.
        word_bytes: channels of a word of the activation memory.
        scales: of every value of the graph.
        tensors: stored ones so far.
        views: where the values of the graph so far are.
        steps: so far.
    """

    def __init__(
        self,
        graph: Graph,
        ranges: Mapping[str, ValueRange],
        layers: Mapping[str, CompressedLayer],
        word_bytes: int,
    ) -> None:
        self.graph, self.word_bytes = graph, word_bytes
        self.scales = value_scales(graph, ranges) | _mask_scales(graph)
        self.tensors: dict[str, StoredTensor] = {}
        self.views: dict[str, View] = {}
        self.steps: list[Step] = []
        self._layers = layers
        self._inputs: dict[str, NetworkInput] = {}
        self._constants: dict[tuple[str, Shape, tuple[int, ...]], View] = {}

    def network(self) -> IntegerNetwork:
        """All steps as a network. Raises GraphError for an output that no step computes."""
        outputs = self.graph.outputs
        for output, name in outputs.items():
            if name not in self.views or self.tensors[self.views[name].tensor].values is not None:
                raise GraphError(output, f"an output must be computed, {name!r} is not")
        used = {block.tensor for step in self.steps for block in (*step.sources, step.target)}
        used |= {self.views[name].tensor for name in outputs.values()}
        inputs = {name: own for name, own in self._inputs.items() if own.tensor in used}
        return IntegerNetwork(
            tensors={name: tensor for name, tensor in self.tensors.items() if name in used},
            inputs=tuple(inputs[name] for name in self.graph.inputs if name in inputs),
            steps=tuple(self.steps),
            outputs={output: self.views[name] for output, name in outputs.items()},
            output_scales={output: self.scales[name] for output, name in outputs.items()},
        )

    # Where values are

    def store(self, name: str, tokens: int, channels: int, scale: ActivationScale) -> Block:
        """A new stored tensor, all of it. Raises GraphError where there is one of this name."""
        if name in self.tensors:
            raise GraphError(name, "two things that are stored have this name: give the node another one")
        self.tensors[name] = StoredTensor(name=name, tokens=tokens, channels=channels, scale=scale)
        return Block(tensor=name, tokens=tokens, channels=channels)

    def store_input(self, own: NetworkInput, shape: Shape) -> View:
        """An input whose values are arranged to `shape`, channels last; the view of that shape."""
        self._inputs[own.name] = own
        self.store(own.tensor, math.prod(shape[:-1]), shape[-1] if shape else 1, self.scales[own.name])
        return View.whole(own.tensor, shape)

    def view(self, node: Node, name: str) -> View:
        """Where a value is. An image among the inputs is stored with its channels last."""
        graph = self.graph
        if name in graph.constants:
            shape = graph.type_of(name).shape
            return self.constant(name, shape, tuple(range(len(shape))))
        if name in graph.inputs and name not in self.views:
            shape = graph.inputs[name].shape
            if _is_image(graph, name):
                own = NetworkInput(name=name, tensor=name, shape=shape, permutation=PIXELS_LAST)
                stored = self.store_input(own, tuple(shape[axis] for axis in PIXELS_LAST))
                self.views[name] = stored.transposed(CHANNELS_SECOND)
            else:
                own = NetworkInput(name=name, tensor=name, shape=shape, permutation=tuple(range(len(shape))))
                self.views[name] = self.store_input(own, shape)
        if name not in self.views:
            refuse(node, f"{name!r} is not on the core")
        return self.views[name]

    def constant(self, name: str, shape: Shape, order: tuple[int, ...]) -> View:
        """A constant that is broadcast to a shape, stored with its axes in an order; the view of that shape."""
        key = (name, shape, order)
        if key not in self._constants:
            wide = torch.broadcast_to(self.graph.constants[name], shape).permute(order)
            channels = wide.shape[-1] if shape else 1
            stored = self.scales[name].quantize(wide.numpy()).reshape(-1, channels)
            count = sum(known[0] == name for known in self._constants)
            tensor = f"{name}.{count}" if count else name
            self.store(tensor, len(stored), channels, self.scales[name])
            self.tensors[tensor] = replace(self.tensors[tensor], values=stored)
            self._constants[key] = View.whole(tensor, tuple(wide.shape)).transposed(inverse_order(order))
        return self._constants[key]

    def order(self, view: View) -> tuple[int, ...]:
        """A view's axes as they are stored, channels last."""
        return stored_order(view, self.tensors[view.tensor].channels)

    def block(self, node: Node, view: View, *, repeated: bool = False) -> Block:
        """A view's activations and channels, the last axis; refuses what is not stored like that.

        With `repeated`, one activation may stand for all.
        """
        block = block_of(view, self.tensors[view.tensor].channels, repeated=repeated)
        if block is None:
            refuse(node, f"its operand of shape {view.shape} must be activations of channels as they are stored")
        self.require_word(node, "its operand", block.channel)
        return block

    def require_word(self, node: Node, what: str, channel: int) -> None:
        """Refuse a first channel that is not the first of a memory word."""
        if channel % self.word_bytes:
            rule = f"{what} must begin with a memory word of {self.word_bytes} channels"
            refuse(node, f"{rule}, not with channel {channel}")

    # Layers, and clamps after them

    def layer(self, node: Node) -> CompressedLayer:
        """The compressed weights of a node."""
        for name in (node.name, node.module):
            if name is not None and name in self._layers:
                return self._layers[name]
        refuse(node, "there must be a compressed layer of this name, or of its module's")

    def fused_clamp(self, node: Node) -> Node | None:
        """The clamp that follows a node and is part of its step."""
        user = self.graph.only_user(node.name)
        return user if user is not None and self.is_fused(user) else None

    def is_fused(self, node: Node) -> bool:
        """Whether a node is a clamp that is part of the step before it."""
        operator = node.operator
        before = self.graph.by_name.get(node.operands[0]) if node.operands else None
        if not isinstance(operator, ops.Clamp) or before is None or self.graph.only_user(before.name) != node:
            return False
        if isinstance(before.operator, ops.Add | ops.ScaleShift):
            return True
        layer = isinstance(before.operator, ops.Linear | ops.Conv2d | ops.ConvTranspose2d)
        return layer and (operator.low, operator.high) in ACTIVATIONS

    def result_scale(self, node: Node) -> ActivationScale:
        """Scale of what a node's step leaves, its clamp included."""
        follower = self.fused_clamp(node)
        return self.scales[node.name if follower is None else follower.name]

    def bounds(self, node: Node) -> tuple[float, float]:
        """Of the clamp that is part of a node's step, as real values."""
        follower = self.fused_clamp(node)
        operator = None if follower is None else follower.operator
        return (operator.low, operator.high) if isinstance(operator, ops.Clamp) else (-math.inf, math.inf)

    def activation(self, node: Node) -> str:
        """The same, by the name that layers have for it."""
        return ACTIVATIONS.get(self.bounds(node), "none")


def _mask_scales(graph: Graph) -> dict[str, ActivationScale]:
    """Of all bool values, which are masks."""
    names = (*graph.inputs, *graph.constants, *graph.by_name)
    return {name: KEEP_SCALE for name in names if graph.type_of(name).dtype == torch.bool}


def _is_image(graph: Graph, name: str) -> bool:
    """Whether convolutions or pools take a value, or what is computed of it element by element."""
    seen, rest = {name}, [name]
    while rest:
        for user in graph.users.get(rest.pop(), ()):
            if isinstance(user.operator, _IMAGE_OPERATORS):
                return True
            if isinstance(user.operator, _ELEMENT_OPERATORS) and user.name not in seen:
                seen.add(user.name)
                rest.append(user.name)
    return False


def refuse(node: Node, rule: str) -> NoReturn:
    """Raise GraphError."""
    raise GraphError(node.name, rule)
