"""The graph of an ONNX file. Needs the package `onnx`, of the extra `models`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner
import torch
from onnx import numpy_helper
from torch import Tensor

from ssvq.network.errors import GraphError, OperatorError, UnsupportedError
from ssvq.network.front.allowance import Allowance
from ssvq.network.front.builder import GraphBuilder, Value
from ssvq.network.front.handlers import called
from ssvq.network.front.onnx_function import onnx_function, resize_function
from ssvq.network.front.onnx_names import ModuleNames
from ssvq.network.front.onnx_operations import TABLE
from ssvq.network.front.onnx_sizes import result_sizes
from ssvq.network.front.passes import clean
from ssvq.network.graph import Graph, require_operator_set
from ssvq.network.operators import Host, HostFunction
from ssvq.network.tensor_type import Shape, TensorType

OPSET_MIN = 13
"""Of 2020; in older ones some operations mean something else."""

CHANGING = ("NonZero", "Unique", "NonMaxSuppression", "Compress")
"""Operations whose result's shape depends on values."""

RANDOM = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial")
"""Operations that are computed anew with each run, even of constants."""


def graph_of_onnx(file: Path, *, input_shapes: Mapping[str, Shape] | None = None, strict: bool = False) -> Graph:
    """The float graph of an ONNX file.

    Args:
        file: of opset 13 or later.
        input_shapes: of those inputs whose shape the file leaves open, by name, of which "" is that of the only input;
            of others they have to agree.
        strict: an operation outside the operator set is an error rather than a Host.

    Raises:
        GraphError: the file is not a valid one, or too old; an input's shape is not given; a shape changes at run
            time; a dtype is not supported; weights are not finite; with `strict`, an operation is not in the operator
            set.
    """
    try:
        model = onnx.load(file)
        onnx.checker.check_model(model)
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
    except Exception as error:  # of protobuf, the checker or the file system
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise GraphError(str(file), f"the file must be a valid ONNX model; onnx says: {reason}") from error
    version = max((opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx")), default=0)
    if version < OPSET_MIN:
        problem = f"the opset must be at least {OPSET_MIN}, not {version}; onnx.version_converter brings it there"
        raise GraphError(str(file), problem)
    with torch.no_grad(), _refused(str(file), "a graph"):
        graph = clean(_Reader(model, dict(input_shapes or {}), Allowance.of_file(file)).graph())
    if strict:
        require_operator_set(graph)
    return graph


class _Reader:
    """Goes through the nodes of a file and builds the graph."""

    def __init__(self, model: onnx.ModelProto, input_shapes: dict[str, Shape], allowance: Allowance) -> None:
        self.model = model
        self.input_shapes = input_shapes
        self.allowance = allowance
        self.builder = GraphBuilder(
            before_computing=lambda kind: allowance.take("constants", kind.shape, kind.itemsize)
        )
        self.values: dict[str, Value] = {}
        self.names = ModuleNames(model.graph)

    def graph(self) -> Graph:
        graph = self.model.graph
        stored = {tensor.name: tensor for tensor in graph.initializer}
        inputs = [given for given in graph.input if given.name not in stored]
        self.input_shapes = _by_name(self.input_shapes, [given.name for given in inputs])
        for given in inputs:
            self.values[given.name] = self._input(given, inputs)
        for name, tensor in stored.items():
            with _refused(name, "a tensor"):
                self.values[name] = self.builder.constant(_tensor(name, tensor), name)
        for node in graph.node:
            with _refused(node.name or node.op_type, f"{node.op_type} as ONNX has it"):
                self.values.update(self._call(node))
        return self.builder.build({output.name: self._known(output.name, output.name) for output in graph.output})

    def _input(self, given: onnx.ValueInfoProto, inputs: Sequence[onnx.ValueInfoProto]) -> Value:
        tensor = given.type.tensor_type
        dimensions = list(tensor.shape.dim)
        shape = self.input_shapes.get(given.name)
        if shape is None:
            for dimension in dimensions:
                if not dimension.HasField("dim_value"):
                    what = dimension.dim_param or "a length"
                    others = f"the file's inputs are {', '.join(own.name for own in inputs)}"
                    problem = f"input_shapes must have its shape, as the file leaves {what} open; {others}"
                    raise GraphError(given.name, problem)
            shape = tuple(dimension.dim_value for dimension in dimensions)
        fixed = [dimension.dim_value if dimension.HasField("dim_value") else None for dimension in dimensions]
        if len(shape) != len(fixed) or any(b not in (None, a) for a, b in zip(shape, fixed, strict=True)):
            wanted = ", ".join("any" if length is None else str(length) for length in fixed)
            raise GraphError(given.name, f"input_shapes must have a shape like ({wanted}), not {shape}")
        return self.builder.input(given.name, shape, _dtype(given.name, tensor.elem_type))

    def _known(self, where: str, name: str) -> Value:
        value = self.values.get(name)
        if value is None:
            raise GraphError(
                where, f"{name!r} must not be used, as the operation that gives it has no such result here"
            )
        return value

    def _call(self, node: onnx.NodeProto) -> dict[str, Value]:
        """A node's results by name."""
        where = node.name or node.output[0]
        self.builder.scope = self.names.scope(node)
        self.builder.module = self.names.layer(node)
        inputs = [self._known(where, name) if name else None for name in node.input]
        if any(attribute.type == onnx.AttributeProto.GRAPH for attribute in node.attribute):
            raise GraphError(where, f"{node.op_type} must not be in the file, as what runs depends on values")
        if node.op_type in CHANGING:
            raise GraphError(where, f"shapes must be fixed, but that of {node.op_type} changes at run time")
        handler = TABLE.get(node.op_type)
        given = [value for value in inputs if value is not None]
        is_random = node.op_type in RANDOM
        if (
            not is_random
            and node.op_type not in ("Shape", "Identity")
            and all(value.constant is not None for value in given)
        ):
            return self._computed(node, inputs)
        try:
            if handler is None:
                raise UnsupportedError("it is random" if is_random else "it is not in the operator set")
            results = called(handler, self.builder, *inputs, **_attributes(node))
            # later results, such as the indices of a maximum, may be missing until something uses them
            return dict(zip(node.output, results if isinstance(results, tuple) else (results,), strict=False))
        except (UnsupportedError, OperatorError) as error:
            return self._host(node, str(error), inputs)

    def _function(self, node: onnx.NodeProto, inputs: list[Value | None], result: int) -> HostFunction:
        """Computes a result from those inputs that are no constants."""
        known = [None if value is None else value.constant for value in inputs]
        if node.op_type == "Resize" and inputs[0] is not None and known[0] is None:
            resize = resize_function(node, inputs[0].shape, known)
            if resize is not None:
                return resize
        constants = {name: tensor for name, tensor in zip(node.input, known, strict=True) if tensor is not None}
        return onnx_function(node, self.model.opset_import, constants, result)

    def _results(self, node: onnx.NodeProto, inputs: list[Value | None], operands: list[Tensor]) -> list[Tensor]:
        """What a node gives, for each of its outputs that has a name."""
        count = sum(bool(name) for name in node.output)
        where = node.name or node.output[0]
        types = [value if value is None else TensorType(value.shape, value.dtype) for value in inputs]
        known = [None if value is None else value.constant for value in inputs]
        take = self.allowance.borrow if operands else self.allowance.take
        for shape, itemsize in result_sizes(node, types, known, self.model.opset_import):
            take(where, shape, itemsize)
        try:
            return [self._function(node, inputs, number)(*operands) for number in range(count)]
        except Exception as error:  # the evaluator has no common exception class
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise GraphError(where, f"{node.op_type} must run; onnx says: {reason}") from error

    def _computed(self, node: onnx.NodeProto, inputs: list[Value | None]) -> dict[str, Value]:
        """What an operation gives for constants."""
        tensors = self._resized(node, inputs) or self._results(node, inputs, [])
        names = [name for name in node.output if name]
        return {name: self.builder.constant(tensor) for name, tensor in zip(names, tensors, strict=True)}

    def _resized(self, node: onnx.NodeProto, inputs: list[Value | None]) -> list[Tensor]:
        """The result of a Resize of constants, such as positions; nothing for other operations."""
        known = [None if value is None else value.constant for value in inputs]
        if node.op_type != "Resize" or known[0] is None:
            return []
        function = resize_function(node, tuple(known[0].shape), known)
        if function is None:
            return []
        shape = (*known[0].shape[:2], *function.size)
        self.allowance.take(node.name or node.output[0], shape, known[0].itemsize)
        return [function(known[0])]

    def _host(self, node: onnx.NodeProto, reason: str, inputs: list[Value | None]) -> dict[str, Value]:
        where = node.name or node.output[0]
        operation = f"{node.domain or 'onnx'}.{node.op_type}"
        operands = list(dict.fromkeys(value for value in inputs if value is not None and value.constant is None))
        for value in operands:
            self.allowance.borrow(where, value.shape, value.dtype.itemsize)
        examples = [torch.zeros(value.shape, dtype=value.dtype) for value in operands]
        values: list[Value] = []
        for number, example in enumerate(self._results(node, inputs, examples)):
            try:
                host = Host(
                    operation=operation,
                    reason=reason,
                    operands=tuple(operand.shape for operand in operands),
                    result=TensorType.of(example),
                    function=self._function(node, inputs, number),
                )
                values.append(self.builder.apply(host, *operands))
            except OperatorError as error:
                raise GraphError(where, f"{operation}: {error}") from None
        return dict(zip((name for name in node.output if name), values, strict=True))


@contextmanager
def _refused(where: str, what: str) -> Iterator[None]:
    """Whatever else the code raises that reads a file is a GraphError: ONNX's checker looks at the form only."""
    try:
        yield
    except GraphError:
        raise
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "")
        raise GraphError(where, f"it must be {what}; {type(error).__name__}: {reason}") from error


def _by_name(shapes: Mapping[str, Shape], inputs: Sequence[str]) -> dict[str, Shape]:
    """Shapes by the names of inputs. Raises GraphError for other names, or none where there are several inputs."""
    known = ", ".join(inputs)
    named: dict[str, Shape] = {}
    for name, shape in shapes.items():
        if not name and len(inputs) != 1:
            raise GraphError("input_shapes", f"a shape must have the name of one of the file's inputs ({known})")
        if name and name not in inputs:
            raise GraphError(name, f"input_shapes must be for inputs of the file ({known})")
        named[name or inputs[0]] = shape
    return named


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    found = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in found.items()}


def _dtype(name: str, element: int) -> torch.dtype:
    try:
        return torch.from_numpy(np.zeros(0, onnx.helper.tensor_dtype_to_np_dtype(element))).dtype
    except (KeyError, TypeError):
        kind = onnx.TensorProto.DataType.Name(element)
        raise GraphError(name, f"dtype must be one of PyTorch's, not {kind}") from None


def _tensor(name: str, stored: onnx.TensorProto) -> Tensor:
    _dtype(name, stored.data_type)
    return torch.tensor(numpy_helper.to_array(stored))  # a copy, since arrays of a file are read-only
