"""From a float graph to an integer network: every operator as a step of the core, every movement as a view."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import NoReturn

import numpy as np
import torch

from ssvq.integer_layer import IntegerLayer
from ssvq.layer_arithmetic import CompileError
from ssvq.network import operators as ops
from ssvq.network.calibration import ValueRange
from ssvq.network.errors import GraphError
from ssvq.network.float_executor import FUNCTIONS
from ssvq.network.graph import Graph, Node
from ssvq.network.integer_network import (
    IntegerNetwork,
    LinearStep,
    NetworkInput,
    ProductStep,
    Step,
    StoredTensor,
    VectorStep,
)
from ssvq.network.strided import Block, View, block_of
from ssvq.network.tensor_type import Shape
from ssvq.network.value_scales import constant_factor, value_scales
from ssvq.product import IntegerProduct
from ssvq.quantize.layer import CompressedLayer
from ssvq.reference import ActivationScale, FloatArray
from ssvq.vector_operation import VectorOperation
from ssvq.vector_scales import Function, layer_norm, look_up, product, rescaled_sum, softmax

_ACTIVATIONS = {(0.0, math.inf): "relu", (0.0, 6.0): "relu6"}


def lower(
    graph: Graph, ranges: Mapping[str, ValueRange], layers: Mapping[str, CompressedLayer], *, word_bytes: int
) -> IntegerNetwork:
    """The network in the core's integers.

    Args:
        graph: a network of batch 1.
        ranges: of all its values, see `calibrate`.
        layers: the compressed weights by the names of their nodes, see `compress_graph`.
        word_bytes: of the core's activation memory: heads lie beside each other where they are whole words.

    Raises:
        GraphError: an operator that the core does not do, or operands that are not where it needs them; it names the
            node.
    """
    return _Lowering(graph, ranges, layers, word_bytes).network()


class _Lowering:
    def __init__(
        self,
        graph: Graph,
        ranges: Mapping[str, ValueRange],
        layers: Mapping[str, CompressedLayer],
        word_bytes: int,
    ) -> None:
        self._graph, self._layers, self._word_bytes = graph, layers, word_bytes
        self._scales = value_scales(graph, ranges)
        self._tensors: dict[str, StoredTensor] = {}
        self._views: dict[str, View] = {}
        self._inputs: dict[str, NetworkInput] = {}
        self._steps: list[Step] = []

    def network(self) -> IntegerNetwork:
        for node in self._graph.nodes:
            try:
                self._add(node)
            except CompileError as error:
                raise GraphError(node.name, error.rule) from error
        outputs = self._graph.outputs
        for output, name in outputs.items():
            if name not in self._views or self._views[name].tensor in self._graph.constants:
                raise GraphError(output, f"an output must be computed, {name!r} is not")
        used = self._used_tensors()
        return IntegerNetwork(
            tensors={name: tensor for name, tensor in self._tensors.items() if name in used},
            inputs=tuple(self._inputs[name] for name in self._graph.inputs if name in self._inputs),
            steps=tuple(self._steps),
            outputs={output: self._views[name] for output, name in outputs.items()},
            output_scales={output: self._scales[name] for output, name in outputs.items()},
        )

    def _used_tensors(self) -> set[str]:
        read = {block.tensor for step in self._steps for block in (*step.sources, step.target)}
        read |= {self._views[name].tensor for name in self._graph.outputs.values()}
        return read | {own.tensor for own in self._inputs.values()}

    # Nodes

    def _add(self, node: Node) -> None:
        operator = node.operator
        if isinstance(operator, ops.Linear):
            self._linear(node, self._view(node.operands[0], node.name))
        elif isinstance(operator, ops.Conv2d):
            self._convolution(node, operator)
        elif isinstance(operator, ops.MatMul):
            self._product(node)
        elif isinstance(operator, ops.MOVEMENT):
            self._move(node)
        elif (factor := constant_factor(self._graph, node)) is not None:
            own = self._scales[node.operands[0]]
            self._views[node.name] = self._view(node.operands[0], node.name)
            self._scales[node.name] = replace(own, scale=own.scale * factor)
        elif isinstance(operator, ops.Add | ops.Multiply):
            self._binary(node)
        elif isinstance(operator, ops.Clamp) and self._is_fused(node):
            self._views[node.name] = self._views[node.operands[0]]
        elif isinstance(operator, ops.Clamp | ops.Elementwise | ops.Softmax | ops.LayerNorm):
            self._unary(node)
        else:
            _refuse(node, f"{type(operator).__name__} is not among the core's operations")

    def _linear(self, node: Node, view: View) -> None:
        source = self._block(node, view)
        user = self._graph.only_user(node.name)
        activation, result = "none", node.name
        if user is not None and isinstance(user.operator, ops.Clamp) and self._is_fused(user):
            activation, result = _ACTIVATIONS[user.operator.low, user.operator.high], user.name
        layer = IntegerLayer.from_compressed(
            self._layers[node.name],
            input_scale=self._scale(node.operands[0]),
            output_scale=self._scale(result),
            activation=activation,
        )
        shape = (*view.shape[:-1], layer.out_channels)
        target = self._store(node.name, source.tokens, layer.out_channels, self._scale(result))
        self._steps.append(LinearStep(name=node.name, layer=layer, source=source, target=target))
        self._views[node.name] = View.whole(node.name, shape)

    def _convolution(self, node: Node, operator: ops.Conv2d) -> None:
        """As a matrix product: of pixels for a kernel of 1 x 1, else of patches of an input that do not overlap."""
        kernel = self._graph.type_of(node.operands[1]).shape[2:]
        name = node.operands[0]
        plain = operator.groups == 1 and not any(operator.padding) and operator.dilation == (1, 1)
        if not plain or operator.stride != kernel:
            _refuse(node, "a convolution must have a kernel of 1 x 1, or be of patches of an input that do not overlap")
        if kernel == (1, 1):
            view = self._view(name, node.name).transposed((0, 2, 3, 1))
        elif name in self._graph.inputs and self._graph.only_user(name) == node:
            view = self._patches(name, (kernel[0], kernel[1]))
        else:
            _refuse(node, "patches must be of an input of the network that nothing else takes")
        self._linear(node, view)
        self._views[node.name] = self._views[node.name].transposed((0, 3, 1, 2))

    def _patches(self, name: str, size: tuple[int, int]) -> View:
        """An input stored patch by patch: view (1, rows, columns, channels of a patch)."""
        _, channels, height, width = self._graph.inputs[name].shape
        rows, columns = height // size[0], width // size[1]
        shape = (channels, rows, size[0], columns, size[1])
        self._inputs[name] = NetworkInput(name=name, tensor=name, shape=shape, permutation=(1, 3, 2, 4, 0))
        patch = channels * size[0] * size[1]
        self._store(name, rows * columns, patch, self._scale(name))
        return View.whole(name, (1, rows, columns, patch))

    def _product(self, node: Node) -> None:
        """All products of a batch; their outputs lie beside each other where they are whole words."""
        left, right = (self._view(operand, node.name) for operand in node.operands)
        batch = math.prod(node.type.shape[:-2])
        tokens, channels = node.type.shape[-2:]
        inputs, source_stride = self._batch(node, left, batch)
        transposed = right.strides[-1] != 1
        if transposed:
            right = right.transposed((*range(len(right.shape) - 2), len(right.shape) - 1, len(right.shape) - 2))
        operand, operand_stride = self._batch(node, right, batch)
        made = IntegerProduct.from_scales(
            name=node.name,
            tokens=tokens,
            in_channels=inputs.channels,
            out_channels=channels,
            batch_count=batch,
            transposed=transposed,
            input_scale=self._scale(node.operands[0]),
            operand_scale=self._scale(node.operands[1]),
            output_scale=self._scale(node.name),
        )
        shape = node.type.shape
        if channels % self._word_bytes == 0:
            whole = self._store(node.name, tokens, batch * channels, self._scale(node.name))
            target_stride = (0, channels)
            heads_last = View.whole(node.name, (*shape[:-3], tokens, *shape[-3:-2], channels))
            count = len(shape)
            axes = (*range(count - 3), count - 2, count - 3, count - 1) if count > 2 else (0, 1)
            view = heads_last.transposed(axes)
        else:
            whole = self._store(node.name, batch * tokens, channels, self._scale(node.name))
            target_stride, view = (tokens, 0), View.whole(node.name, shape)
        self._views[node.name] = view
        self._steps.append(
            ProductStep(
                name=node.name,
                product=made,
                source=inputs,
                operand=operand,
                target=replace(whole, tokens=tokens, channels=channels),
                source_stride=source_stride,
                operand_stride=operand_stride,
                target_stride=target_stride,
            )
        )

    def _batch(self, node: Node, view: View, batch: int) -> tuple[Block, tuple[int, int]]:
        """The first matrix of a batch, and activations and channels to the next."""
        stored = self._tensors[view.tensor].channels
        matrices = view.reshaped((batch, *view.shape[-2:]))
        if matrices is None:
            _refuse(node, "the matrices of a batch must be evenly spaced")
        first = replace(matrices, shape=matrices.shape[1:], strides=matrices.strides[1:])
        stride = divmod(matrices.strides[0], stored) if batch > 1 else (0, 0)
        return self._block(node, first), stride

    def _move(self, node: Node) -> None:
        operator = node.operator
        if isinstance(operator, ops.Concat):
            self._concat(node, operator)
            return
        view = self._view(node.operands[0], node.name)
        moved: View | None = None
        if isinstance(operator, ops.Reshape):
            moved = view.reshaped(node.type.shape)
        elif isinstance(operator, ops.Transpose):
            moved = view.transposed(operator.permutation)
        elif isinstance(operator, ops.Slice):
            moved = view.sliced(operator.axis, operator.start, operator.stop, operator.step)
        elif isinstance(operator, ops.Expand):
            moved = view.expanded(node.type.shape)
        if moved is None:
            _refuse(node, f"{type(operator).__name__} does not keep activations and channels apart")
        self._views[node.name] = moved

    def _concat(self, node: Node, operator: ops.Concat) -> None:
        """Activations after activations. What is stored for nothing else is written in its place at once."""
        parts = [self._view(operand, node.name) for operand in node.operands]
        blocks = [self._block(node, part) for part in parts]
        shape = node.type.shape
        if math.prod(shape[: operator.axis]) != 1 or operator.axis == len(shape) - 1:
            _refuse(node, "a concatenation must be along activations")
        channels, tokens = blocks[0].channels, sum(block.tokens for block in blocks)
        whole = self._store(node.name, tokens, channels, self._scale(node.name))
        first = 0
        for operand, block in zip(node.operands, blocks, strict=True):
            target = replace(whole, token=first, tokens=block.tokens)
            first += block.tokens
            if not self._redirect(operand, block, target):
                same = self._scale(node.name)
                operation = rescaled_sum(node.name, channels=channels, input_scale=same, output_scale=same)
                name = f"{node.name}.{operand}"
                self._steps.append(VectorStep(name=name, operation=operation, sources=(block,), target=target))
        self._views[node.name] = View.whole(node.name, shape)

    def _redirect(self, operand: str, block: Block, target: Block) -> bool:
        """Let the step that computes a block write to `target` instead, where nothing but a movement takes it."""
        names = [operand]
        while isinstance(node := self._graph.by_name.get(names[-1]), Node) and isinstance(node.operator, ops.MOVEMENT):
            names.append(node.operands[0])
        stored = self._tensors[block.tensor]
        whole = (block.token, block.channel, block.step) == (0, 0, 1) and block.tokens == stored.tokens
        alone = all(self._graph.only_user(name) is not None for name in names)
        if not (whole and alone and block.channels == stored.channels and names[-1] == block.tensor):
            return False
        for number, step in enumerate(self._steps):
            if step.target.tensor == block.tensor:
                if isinstance(step, ProductStep) or step.target != block:
                    return False
                self._steps[number] = replace(step, target=target)
                return True
        return False

    def _binary(self, node: Node) -> None:
        first, second = (self._view(operand, node.name, node.type.shape) for operand in node.operands)
        if node.operands[0] in self._graph.constants:
            first, second, names = second, first, node.operands[::-1]
        else:
            names = node.operands
        order = _order(first)
        blocks = [self._block(node, view.transposed(order)) for view in (first, second)]
        if len({(block.tokens, block.channels) for block in blocks}) != 1:
            _refuse(node, "both operands must have their activations and channels alike")
        make = rescaled_sum if isinstance(node.operator, ops.Add) else product
        operation = make(
            node.name,
            channels=blocks[0].channels,
            input_scale=self._scale(names[0]),
            second_scale=self._scale(names[1]),
            output_scale=self._scale(node.name),
        )
        self._vector(node, operation, blocks, order)

    def _unary(self, node: Node) -> None:
        view = self._view(node.operands[0], node.name)
        order = _order(view)
        block = self._block(node, view.transposed(order))
        self._vector(node, self._operation(node, view, block.channels), [block], order)

    def _operation(self, node: Node, view: View, channels: int) -> VectorOperation:
        operator, graph = node.operator, self._graph
        scales = {"input_scale": self._scale(node.operands[0]), "output_scale": self._scale(node.name)}
        if isinstance(operator, ops.Clamp):
            return rescaled_sum(node.name, channels=channels, clamp=(operator.low, operator.high), **scales)
        if isinstance(operator, ops.Elementwise):
            return look_up(node.name, channels=channels, function=_function(operator), **scales)
        if view.strides[-1] != 1 or view.shape[-1] != channels:
            _refuse(node, f"{type(operator).__name__} must be over the channels of each activation")
        if isinstance(operator, ops.LayerNorm):
            weight, bias = (graph.constants[name].numpy() for name in node.operands[1:])
            return layer_norm(node.name, weight=weight, bias=bias, epsilon=operator.epsilon, **scales)
        if not isinstance(operator, ops.Softmax) or len(node.operands) > 1 or operator.axis != len(view.shape) - 1:
            _refuse(node, "a softmax must be over the last axis, without a mask")
        return softmax(node.name, channels=channels, **scales)

    def _vector(self, node: Node, operation: VectorOperation, blocks: list[Block], order: tuple[int, ...]) -> None:
        target = self._store(node.name, blocks[0].tokens, blocks[0].channels, self._scale(node.name))
        self._steps.append(VectorStep(name=node.name, operation=operation, sources=tuple(blocks), target=target))
        stored = View.whole(node.name, tuple(node.type.shape[axis] for axis in order))
        self._views[node.name] = stored.transposed(tuple(order.index(axis) for axis in range(len(order))))

    # What nodes have in common

    def _is_fused(self, node: Node) -> bool:
        """A clamp that the layer before it does."""
        operator = node.operator
        before = self._graph.by_name.get(node.operands[0]) if node.operands else None
        return (
            isinstance(operator, ops.Clamp)
            and (operator.low, operator.high) in _ACTIVATIONS
            and before is not None
            and isinstance(before.operator, ops.Linear | ops.Conv2d)
            and self._graph.only_user(before.name) == node
        )

    def _scale(self, name: str) -> ActivationScale:
        return self._scales[name]

    def _store(self, name: str, tokens: int, channels: int, scale: ActivationScale) -> Block:
        self._tensors[name] = StoredTensor(name=name, tokens=tokens, channels=channels, scale=scale)
        return Block(tensor=name, tokens=tokens, channels=channels)

    def _view(self, name: str, node: str, shape: Shape | None = None) -> View:
        """Where a value is; inputs and constants are stored as they come, broadcast to `shape`."""
        if name not in self._views:
            own = self._graph.type_of(name).shape
            wanted = own if shape is None or name in self._graph.inputs else shape
            channels = wanted[-1] if wanted else 1
            tensor = StoredTensor(name=name, tokens=math.prod(wanted[:-1]), channels=channels, scale=self._scale(name))
            if name in self._graph.constants:
                values = torch.broadcast_to(self._graph.constants[name], wanted).numpy()
                stored = tensor.scale.quantize(values).reshape(tensor.tokens, channels)
                tensor = replace(tensor, values=stored)
            elif name in self._graph.inputs:
                axes = tuple(range(len(own)))
                self._inputs[name] = NetworkInput(name=name, tensor=name, shape=own, permutation=axes)
            else:
                raise GraphError(node, f"{name!r} is not on the core")
            self._tensors[name] = tensor
            self._views[name] = View.whole(name, wanted)
        view = self._views[name]
        return view if shape is None or view.shape == shape else view.expanded(shape)

    def _block(self, node: Node, view: View) -> Block:
        block = block_of(view, self._tensors[view.tensor].channels)
        if block is None:
            _refuse(node, f"its operand of shape {view.shape} must be activations of channels as they are stored")
        if block.channel % self._word_bytes:
            rule = f"its operand must begin with a memory word of {self._word_bytes} channels"
            _refuse(node, f"{rule}, not with channel {block.channel}")
        return block


def _order(view: View) -> tuple[int, ...]:
    """Axes from the widest steps to the narrowest, as they are stored."""
    return tuple(sorted(range(len(view.shape)), key=lambda axis: (-view.strides[axis], axis)))


def _function(operator: ops.Elementwise) -> Function:
    def function(values: FloatArray) -> FloatArray:
        exact = torch.from_numpy(np.asarray(values, dtype=np.float64))
        return np.asarray(FUNCTIONS[operator.function](exact, operator.parameter).numpy())

    return function


def _refuse(node: Node, rule: str) -> NoReturn:
    raise GraphError(node.name, rule)
