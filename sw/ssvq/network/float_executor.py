"""Running a graph in float32 with PyTorch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import singledispatch

import torch
from torch import Tensor
from torch.nn import functional

from ssvq.network import operators as ops
from ssvq.network.errors import GraphError
from ssvq.network.graph import Graph, Node
from ssvq.network.tensor_type import TensorType, short

FUNCTIONS: dict[ops.Function, Callable[[Tensor, float], Tensor]] = {
    ops.Function.GELU: lambda x, _: functional.gelu(x),
    ops.Function.GELU_TANH: lambda x, _: functional.gelu(x, approximate="tanh"),
    ops.Function.SIGMOID: lambda x, _: x.sigmoid(),
    ops.Function.TANH: lambda x, _: x.tanh(),
    ops.Function.SILU: lambda x, _: functional.silu(x),
    ops.Function.HARD_SWISH: lambda x, _: functional.hardswish(x),
    ops.Function.HARD_SIGMOID: lambda x, _: functional.hardsigmoid(x),
    ops.Function.MISH: lambda x, _: functional.mish(x),
    ops.Function.SOFTPLUS: lambda x, _: functional.softplus(x),
    ops.Function.LEAKY_RELU: lambda x, p: functional.leaky_relu(x, p),
    ops.Function.ELU: lambda x, p: functional.elu(x, p),
    ops.Function.POWER: lambda x, p: x.pow(p),
    ops.Function.EXP: lambda x, _: x.exp(),
    ops.Function.LOG: lambda x, _: x.log(),
    ops.Function.SQRT: lambda x, _: x.sqrt(),
    ops.Function.RECIPROCAL_SQRT: lambda x, _: x.rsqrt(),
    ops.Function.RECIPROCAL: lambda x, _: x.reciprocal(),
    ops.Function.ABSOLUTE: lambda x, _: x.abs(),
    ops.Function.ERROR_FUNCTION: lambda x, _: x.erf(),
    ops.Function.SINE: lambda x, _: x.sin(),
    ops.Function.COSINE: lambda x, _: x.cos(),
}


@singledispatch
def evaluate(operator: ops.Operator, operands: Sequence[Tensor]) -> Tensor:
    """An operator's result. It may share the memory of an operand."""
    raise TypeError(f"there is no arithmetic for {type(operator).__name__}")


@evaluate.register
def _(_operator: ops.Linear, operands: Sequence[Tensor]) -> Tensor:
    return functional.linear(operands[0], operands[1], _bias(operands))


@evaluate.register
def _(operator: ops.Conv2d, operands: Sequence[Tensor]) -> Tensor:
    top, left, bottom, right = operator.padding
    x, padding = operands[0], [top, left]
    if (top, left) != (bottom, right):
        x, padding = functional.pad(x, (left, right, top, bottom)), [0, 0]
    return torch.conv2d(x, operands[1], _bias(operands), operator.stride, padding, operator.dilation, operator.groups)


@evaluate.register
def _(operator: ops.ConvTranspose2d, operands: Sequence[Tensor]) -> Tensor:
    full = functional.conv_transpose2d(
        operands[0],
        operands[1],
        _bias(operands),
        operator.stride,
        0,
        operator.output_padding,
        operator.groups,
        operator.dilation,
    )
    top, left, bottom, right = operator.padding
    return full[:, :, top : full.shape[2] - bottom, left : full.shape[3] - right]


def _bias(operands: Sequence[Tensor]) -> Tensor | None:
    return operands[2] if len(operands) > 2 else None


@evaluate.register
def _(_operator: ops.Embedding, operands: Sequence[Tensor]) -> Tensor:
    return functional.embedding(operands[0], operands[1])


@evaluate.register
def _(_operator: ops.MatMul, operands: Sequence[Tensor]) -> Tensor:
    return torch.matmul(*operands)


@evaluate.register
def _(_operator: ops.Add, operands: Sequence[Tensor]) -> Tensor:
    return torch.add(*operands)


@evaluate.register
def _(_operator: ops.Multiply, operands: Sequence[Tensor]) -> Tensor:
    return torch.mul(*operands)


@evaluate.register
def _(operator: ops.ScaleShift, operands: Sequence[Tensor]) -> Tensor:
    x, scale, shift = operands
    shape = [-1 if axis == operator.axis else 1 for axis in range(x.ndim)]
    return x * scale.view(shape) + shift.view(shape)


@evaluate.register
def _(operator: ops.Clamp, operands: Sequence[Tensor]) -> Tensor:
    return operands[0].clamp(operator.low, operator.high)


@evaluate.register
def _(operator: ops.Elementwise, operands: Sequence[Tensor]) -> Tensor:
    return FUNCTIONS[operator.function](operands[0], operator.parameter)


@evaluate.register
def _(_operator: ops.Where, operands: Sequence[Tensor]) -> Tensor:
    condition, a, b = operands
    return torch.where(condition, a, b)


@evaluate.register
def _(operator: ops.Softmax, operands: Sequence[Tensor]) -> Tensor:
    x, *keep = operands
    if not keep:
        return x.softmax(operator.axis)
    left_out = ~keep[0]
    return x.masked_fill(left_out, -torch.inf).softmax(operator.axis).masked_fill(left_out, 0.0)


@evaluate.register
def _(operator: ops.LayerNorm, operands: Sequence[Tensor]) -> Tensor:
    x, weight, bias = operands
    return functional.layer_norm(x, x.shape[-1:], weight, bias, operator.epsilon)


@evaluate.register
def _(operator: ops.Mean, operands: Sequence[Tensor]) -> Tensor:
    return operands[0].mean(operator.axes, keepdim=True)


@evaluate.register
def _(operator: ops.AveragePool, operands: Sequence[Tensor]) -> Tensor:
    x = operands[0]
    top, left, bottom, right = operator.padding
    pads = (left, right, top, bottom)
    mean = functional.avg_pool2d(functional.pad(x, pads), operator.kernel, operator.stride)
    if operator.count_padding or not any(pads):
        return mean
    inside = functional.pad(x.new_ones((1, 1, *x.shape[2:])), pads)
    return mean / functional.avg_pool2d(inside, operator.kernel, operator.stride)


@evaluate.register
def _(operator: ops.MaxPool, operands: Sequence[Tensor]) -> Tensor:
    top, left, bottom, right = operator.padding
    padded = functional.pad(operands[0], (left, right, top, bottom), value=-torch.inf)
    return functional.max_pool2d(padded, operator.kernel, operator.stride)


@evaluate.register
def _(operator: ops.Reshape, operands: Sequence[Tensor]) -> Tensor:
    return operands[0].reshape(operator.shape)


@evaluate.register
def _(operator: ops.Transpose, operands: Sequence[Tensor]) -> Tensor:
    return operands[0].permute(operator.permutation)


@evaluate.register
def _(operator: ops.Slice, operands: Sequence[Tensor]) -> Tensor:
    index = [slice(None)] * operator.axis + [slice(operator.start, operator.stop, operator.step)]
    return operands[0][tuple(index)]


@evaluate.register
def _(operator: ops.Concat, operands: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(operands), operator.axis)


@evaluate.register
def _(operator: ops.Expand, operands: Sequence[Tensor]) -> Tensor:
    return operands[0].expand(operator.shape)


@evaluate.register
def _(operator: ops.Pad, operands: Sequence[Tensor]) -> Tensor:
    pads = [pad for pair in zip(operator.before[::-1], operator.after[::-1], strict=True) for pad in pair]
    return functional.pad(operands[0], pads, value=operator.value)


@evaluate.register
def _(operator: ops.Host, operands: Sequence[Tensor]) -> Tensor:
    return operator.function(*operands)


def execute(graph: Graph, *inputs: Tensor) -> tuple[Tensor, ...]:
    """The graph's outputs, in their order, for inputs in theirs.

    Raises:
        GraphError: the number, or a shape or dtype, of the inputs is not the graph's; a Host's function fails, or gives
            something else than it should.
    """
    left = Counter(operand for node in graph.nodes for operand in set(node.operands))
    kept = set(graph.outputs.values())
    values: dict[str, Tensor] = {}
    for name, value in _results(graph, inputs, values):
        values[name] = value
        if name in graph.by_name:
            for operand in set(graph.by_name[name].operands):
                left[operand] -= 1
                if not left[operand] and operand not in kept and operand not in graph.constants:
                    del values[operand]
    return tuple(values[name] if name in values else graph.constants[name] for name in graph.outputs.values())


def execute_all(graph: Graph, *inputs: Tensor) -> dict[str, Tensor]:
    """Every input's and every node's value by name, for inputs in their order; raises as `execute`."""
    values: dict[str, Tensor] = {}
    for name, value in _results(graph, inputs, values):
        values[name] = value
    return values


@torch.no_grad()
def _results(graph: Graph, inputs: Sequence[Tensor], values: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Inputs, then nodes in order, each with its value; the caller keeps them in `values` as long as they are taken."""
    if len(inputs) != len(graph.inputs):
        raise GraphError("inputs", f"there must be {len(graph.inputs)} ({', '.join(graph.inputs)}), not {len(inputs)}")
    for (name, wanted), tensor in zip(graph.inputs.items(), inputs, strict=True):
        if (tuple(tensor.shape), tensor.dtype) != (wanted.shape, wanted.dtype):
            raise GraphError(name, f"the input must be {wanted}, not {TensorType.of(tensor)}")
        yield name, tensor
    for node in graph.nodes:
        operands = [values[name] if name in values else graph.constants[name] for name in node.operands]
        is_host = isinstance(node.operator, ops.Host)
        result = _hosted(node, operands) if is_host else evaluate(node.operator, operands)
        if (tuple(result.shape), result.dtype) != (node.type.shape, node.type.dtype):
            found = f"{short(result.dtype)} {tuple(result.shape)}"
            raise GraphError(node.name, f"the result must be {node.type}, not {found}")
        yield node.name, result


def _hosted(node: Node, operands: Sequence[Tensor]) -> Tensor:
    """A Host's result, of a function that a file or a user has given."""
    try:
        result = evaluate(node.operator, operands)
    except Exception as error:  # PyTorch and ONNX's evaluator have no common exception class
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise GraphError(node.name, f"what the host runs must give a result; it says: {reason}") from error
    if not isinstance(result, Tensor):
        raise GraphError(node.name, f"what the host runs must give a tensor, not {type(result).__name__}")
    return result
