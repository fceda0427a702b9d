"""The graph of a PyTorch module."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind
from torch.fx import Node as FxNode

from ssvq.network.errors import GraphError, OperatorError, UnsupportedError
from ssvq.network.front.aten import CREATION, TABLE
from ssvq.network.front.builder import GraphBuilder, Value
from ssvq.network.front.export import evaluation, exported, short_name
from ssvq.network.front.handlers import called
from ssvq.network.front.passes import clean
from ssvq.network.graph import Graph, require_finite, require_operator_set
from ssvq.network.hosting.torch_function import Operand, TorchFunction, mapped
from ssvq.network.operators import Host
from ssvq.network.tensor_type import TensorType, short
from ssvq.quantize.rules import LAYER_TYPES, ROOT_NAME

RENAMED = {"input": "x", "self": "x", "other": "y"}
"""Names of ATen's arguments that the handlers of the table have otherwise."""

RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu")
"""Operations that PyTorch says are random, which their dropout is, in training."""


def graph_of(model: nn.Module, example_inputs: tuple[Tensor, ...], *, strict: bool = False) -> Graph:
    """The float graph of a model in evaluation mode.

    Args:
        model: float32, on the CPU; its mode is restored, its weights are copied.
        example_inputs: the arguments of its `forward`, all tensors. The graph is for their shapes.
        strict: an operation outside the operator set is an error rather than a Host.

    Raises:
        GraphError: `torch.export` refuses the model; it changes a buffer or an input; a shape changes at run time;
            a dtype is not supported; weights are not finite; with `strict`, an operation is not in the operator set.
    """
    if not isinstance(example_inputs, tuple):
        raise GraphError("example_inputs", f"inputs must be a tuple of tensors, not {type(example_inputs).__name__}")
    for position, given in enumerate(example_inputs):
        if not isinstance(given, Tensor):
            raise GraphError(f"example_inputs[{position}]", f"an input must be a tensor, not {type(given).__name__}")
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.device.type != "cpu":
            raise GraphError(name, f"weights must be on the CPU, not on {tensor.device}")
    with evaluation(model), torch.no_grad():
        program = exported(model, example_inputs)
        layers = {name or ROOT_NAME for name, module in model.named_modules() if isinstance(module, LAYER_TYPES)}
        graph = clean(_Reader(program, layers).graph())
    if strict:
        require_operator_set(graph)
    return graph


class _Reader:
    """Goes through an exported program and builds the graph."""

    def __init__(self, program: ExportedProgram, layers: set[str]) -> None:
        self.program = program
        self.layers = layers
        self.builder = GraphBuilder()
        self.values: dict[FxNode, Any] = {}  # values, numbers, and tuples of them

    def graph(self) -> Graph:
        placeholders = [node for node in self.program.graph.nodes if node.op == "placeholder"]
        for node, spec in zip(placeholders, self.program.graph_signature.input_specs, strict=True):
            self.values[node] = self._placeholder(node, spec)
        for node in self.program.graph.nodes:
            if node.op == "call_function":
                self._enter(node)
                self.values[node] = self._call(node)
            elif node.op not in ("placeholder", "output"):
                raise GraphError(node.name, f"torch.export must give calls of functions only, not {node.op}")
        return self.builder.build(self._outputs())

    def _placeholder(self, node: FxNode, spec: Any) -> Any:
        if spec.kind is InputKind.USER_INPUT:
            found = node.meta.get("val")
            if not isinstance(found, Tensor):
                return found
            return self.builder.input(node.name, _shape(node.name, found), found.dtype)
        if spec.kind not in (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR):
            raise GraphError(node.name, f"inputs must be tensors, not {spec.kind.name.lower()}")
        stored = self.program.state_dict if spec.target in self.program.state_dict else self.program.constants
        tensor = stored[spec.target]
        if not isinstance(tensor, Tensor):
            raise GraphError(spec.target, f"constants must be tensors, not {type(tensor).__name__}")
        if spec.kind is not InputKind.CONSTANT_TENSOR and node.users:
            self._check_weight(spec.target, tensor)
        parent = spec.target.rpartition(".")[0] or ROOT_NAME
        is_weight = spec.target.rpartition(".")[2] == "weight" and parent in self.layers
        copy = tensor.detach().clone(memory_format=torch.contiguous_format)
        return self.builder.constant(copy, spec.target, owner=parent if is_weight else None)

    def _check_weight(self, name: str, tensor: Tensor) -> None:
        try:
            TensorType.of(tensor)
        except OperatorError as error:
            raise GraphError(name, str(error)) from None
        if isinstance(tensor, nn.Parameter):
            require_finite(name, tensor)

    def _enter(self, node: FxNode) -> None:
        """Tells the builder which module the node is in."""
        # a module that is called for the second time has @1 after its name
        stack = [re.sub(r"@\d+$", "", entry[0]) for entry in node.meta.get("nn_module_stack", {}).values()]
        self.builder.scope = stack[-1] if stack else ""
        inner = self.builder.scope or ROOT_NAME
        self.builder.module = inner if inner in self.layers else None

    def _call(self, node: FxNode) -> Any:
        found = node.meta.get("val")
        if found is None:  # checks, which torch.export has made
            return None
        arguments = mapped(tuple(node.args), self._known)
        keywords = mapped(dict(node.kwargs), self._known)
        if not isinstance(node.target, OpOverload):  # getitem, or arithmetic on sizes
            return self._plain(node, arguments)
        operands = _operands((arguments, keywords))
        name = short_name(node.target)
        is_random = torch.Tag.nondeterministic_seeded in node.target.tags and name not in RECURRENT
        is_created = name in CREATION
        if not is_random and (is_created or all(operand.constant is not None for operand in operands)):
            return self._computed(node.target, arguments, keywords)
        for tensor in found if isinstance(found, list | tuple) else (found,):
            if not isinstance(tensor, Tensor):
                raise GraphError(node.name, f"{node.target}: a result must be a tensor, not {type(tensor).__name__}")
            _shape(node.name, tensor)
        try:
            handler = TABLE.get(name)
            if name in RECURRENT:
                raise UnsupportedError("a recurrence is not in the operator set, which docs/networks.md lists")
            if handler is None:
                raise UnsupportedError("it is random" if is_random else "it is not in the operator set")
            results = called(handler, self.builder, **_named(node.target, arguments, keywords))
            _require_types(results, found)
            return results
        except (UnsupportedError, OperatorError) as error:
            return self._host(node, node.target, str(error), arguments, keywords)

    def _known(self, item: Any) -> Any:
        return self.values[item] if isinstance(item, FxNode) else item

    def _plain(self, node: FxNode, arguments: tuple[Any, ...]) -> Any:
        if not callable(node.target) or isinstance(node.meta["val"], torch.SymInt | torch.SymFloat | torch.SymBool):
            raise GraphError(node.name, "shapes must be fixed, but this number changes at run time")
        values, *rest = arguments
        if isinstance(values, tuple) and rest and rest[0] >= len(values):
            raise GraphError(node.name, f"result {rest[0]} of {node.args[0]} must not be used")
        return node.target(*arguments)

    def _computed(self, operation: Callable[..., Any], arguments: Any, keywords: Any) -> Any:
        """What an operation gives for constants, or for operands of which only the shape counts."""

        def tensor(item: Any) -> Any:
            if not isinstance(item, Value):
                return item
            return torch.empty(item.shape, dtype=item.dtype) if item.constant is None else item.constant

        def value(item: Any) -> Any:
            return self.builder.constant(item) if isinstance(item, Tensor) else item

        results = operation(*mapped(arguments, tensor), **mapped(keywords, tensor))
        results = tuple(results) if isinstance(results, list) else results
        return mapped(results, value)

    def _host(self, node: FxNode, target: OpOverload, reason: str, arguments: Any, keywords: Any) -> Any:
        operation = str(target)
        operands = [value for value in _operands((arguments, keywords)) if value.constant is None]

        def position(item: Any) -> Any:
            if not isinstance(item, Value):
                return item
            return Operand(operands.index(item)) if item.constant is None else item.constant

        found = node.meta["val"]
        several = isinstance(found, list | tuple)
        results = []
        for number, tensor in enumerate(found if several else (found,)):
            try:
                result = TensorType(tuple(tensor.shape), tensor.dtype)
                host = Host(
                    operation=operation,
                    reason=reason,
                    operands=tuple(operand.shape for operand in operands),
                    result=result,
                    function=TorchFunction(
                        target,
                        mapped(arguments, position),
                        mapped(keywords, position),
                        number if several else None,
                    ),
                )
                results.append(self.builder.apply(host, *operands))
            except OperatorError as error:
                raise GraphError(node.name, f"{operation}: {error}") from None
        return tuple(results) if several else results[0]

    def _outputs(self) -> dict[str, Value]:
        (output,) = (node for node in self.program.graph.nodes if node.op == "output")
        found: list[Value] = []
        for node, spec in zip(output.args[0], self.program.graph_signature.output_specs, strict=True):
            if spec.kind is not OutputKind.USER_OUTPUT:
                raise GraphError(str(spec.target), f"a model must not change it: {spec.kind.name.lower()}")
            value = self._known(node)
            if isinstance(value, Value):
                found.append(value)
            elif value is not None:
                raise GraphError("output", f"outputs must be tensors, not {type(value).__name__}")
        names = ["output"] if len(found) == 1 else [f"output_{number}" for number in range(len(found))]
        return dict(zip(names, found, strict=True))


def _shape(name: str, tensor: Tensor) -> tuple[int, ...]:
    if not all(isinstance(length, int) for length in tensor.shape):
        shape = ", ".join(map(str, tensor.shape))
        raise GraphError(name, f"shapes must be fixed, but ({shape}) changes at run time")
    return tuple(tensor.shape)


def _require_types(results: Value | tuple[Value, ...], wanted: Tensor | Sequence[Tensor]) -> None:
    """Raises UnsupportedError where results are not of the types that PyTorch has, which may promote a dtype."""
    values = (results,) if isinstance(results, Value) else results
    # later results of the operation, such as statistics, may be missing
    for value, tensor in zip(values, (wanted,) if isinstance(wanted, Tensor) else wanted, strict=False):
        if value.dtype != tensor.dtype or value.shape != tuple(tensor.shape):
            raise UnsupportedError(f"its result is {short(tensor.dtype)} {tuple(tensor.shape)}")


def _operands(arguments: Any) -> list[Value]:
    """The values among arguments, each once."""
    found: dict[Value, None] = {}

    def note(item: Any) -> None:
        if isinstance(item, Value):
            found[item] = None

    mapped(arguments, note)
    return list(found)


def _named(operation: Any, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments of an operation by name, defaults included."""
    named: dict[str, Any] = {}
    for position, argument in enumerate(operation._schema.arguments):
        name = RENAMED.get(argument.name, argument.name)
        if position < len(arguments) and not argument.kwarg_only:
            named[name] = arguments[position]
        elif argument.name in keywords:
            named[name] = keywords[argument.name]
        else:
            named[name] = argument.default_value if argument.has_default_value() else None
    return named
