"""A network in parts, of which some run on the core and some on the host."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch

from ssvq.network.errors import GraphError
from ssvq.network.float_executor import execute
from ssvq.network.graph import Graph
from ssvq.network.integer.integer_network import IntegerNetwork
from ssvq.network.program.emission import CompiledNetwork
from ssvq.network.tensor_type import TensorType
from ssvq.reference import FloatArray, Int8Array

Values = dict[str, torch.Tensor]
"""Results by name."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CorePart:
    """A part that one program runs.

    Attributes:
        name: such as `core 0`.
        compiled: its golden model, program and memory plan. Inputs and outputs have the names of the values.
    """

    name: str
    compiled: CompiledNetwork


@dataclass(frozen=True, kw_only=True, eq=False)
class HostPart:
    """A part that PyTorch runs in float32.

    Attributes:
        name: such as `host 0`.
        graph: its operators. Inputs and outputs have the names of the values.
    """

    name: str
    graph: Graph


RunCore = Callable[[CorePart, Mapping[str, Int8Array]], Mapping[str, Int8Array]]
"""Runs a part on a core: of its stored inputs, as of `IntegerNetwork.quantize_inputs`, the int8 values of its outputs,
each in its shape in the graph."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PartitionedNetwork:
    """Parts in order. At a border values are quantized and dequantized by the scales of the core's part.

    Attributes:
        inputs: types by name, in the order of the model's arguments.
        parts: each after those whose results it takes.
        outputs: names of values by the outputs' names.
    """

    inputs: Mapping[str, TensorType]
    parts: tuple[CorePart | HostPart, ...]
    outputs: Mapping[str, str]

    def __post_init__(self) -> None:
        for field in ("inputs", "outputs"):
            object.__setattr__(self, field, MappingProxyType(dict(getattr(self, field))))
        known = set(self.inputs)
        for part in self.parts:
            for name in _inputs(part):
                if name not in known:
                    raise GraphError(part.name, f"an input must come from a part before, {name!r} does not")
            known |= set(part.graph.outputs if isinstance(part, HostPart) else part.compiled.network.outputs)
        for output, name in self.outputs.items():
            if name not in known:
                raise GraphError(output, f"an output must be an input or a result of a part, not {name!r}")

    @property
    def core_parts(self) -> tuple[CorePart, ...]:
        """Those of the core."""
        return tuple(part for part in self.parts if isinstance(part, CorePart))

    @property
    def host_parts(self) -> tuple[HostPart, ...]:
        """Those of the host."""
        return tuple(part for part in self.parts if isinstance(part, HostPart))

    def checked(self, inputs: Sequence[torch.Tensor]) -> Values:
        """The inputs by name. Raises GraphError where their number, a shape or a type is another."""
        if len(inputs) != len(self.inputs):
            names = ", ".join(self.inputs)
            raise GraphError("inputs", f"there must be {len(self.inputs)} ({names}), not {len(inputs)}")
        for (name, wanted), tensor in zip(self.inputs.items(), inputs, strict=True):
            if (found := TensorType.of(tensor)) != wanted:
                raise GraphError(name, f"the input must be {wanted}, not {found}")
        return dict(zip(self.inputs, inputs, strict=True))

    def run(self, inputs: Sequence[torch.Tensor], core: RunCore) -> Values:
        """The outputs by name, with `core` for what runs on one; the host runs its own parts.

        Raises:
            GraphError: the inputs are not the network's, what the host runs fails, or `core` says so.
        """
        values = self.checked(inputs)
        for part in self.parts:
            if isinstance(part, HostPart):
                results = execute(part.graph, *(values[name] for name in part.graph.inputs))
                values |= dict(zip(part.graph.outputs, results, strict=True))
            else:
                values |= _on_core(part, values, core)
        return {output: values[name] for output, name in self.outputs.items()}

    def run_reference(self, inputs: Sequence[torch.Tensor]) -> Values:
        """The outputs by name, by the golden model of every core part; raises as `run`."""
        return self.run(inputs, run_golden)


_CORE_INPUTS = (torch.float32, torch.bool)
"""What a core's input is quantized from; bools are a mask."""


def _on_core(part: CorePart, values: Values, core: RunCore) -> Values:
    """What a core's part gives. Raises GraphError where it cannot take a value as an input."""
    network = part.compiled.network
    for own in network.inputs:
        found = TensorType.of(values[own.name])
        if found.dtype not in _CORE_INPUTS or found.size != math.prod(own.shape):
            wanted = f"{TensorType(own.shape)}, or as many bools"
            raise GraphError(part.name, f"{own.name} must have the numbers of {wanted}, not {found}")
    given = network.quantize_inputs(*(_array(values[own.name]) for own in network.inputs))
    results = core(part, given)
    return {name: torch.from_numpy(network.output_scales[name].dequantize(own)) for name, own in results.items()}


def run_golden(part: CorePart, given: Mapping[str, Int8Array]) -> dict[str, Int8Array]:
    """A core part by its golden model: a `RunCore`.

    Raises GraphError where its steps contradict each other, as those of a file may.
    """
    network = part.compiled.network
    try:
        return golden_outputs(network, network.run(given))
    except Exception as error:  # of numpy, or of a step
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise GraphError(part.name, f"its steps must be possible as they are; they say: {reason}") from error


def golden_outputs(network: IntegerNetwork, memory: Mapping[str, Int8Array]) -> dict[str, Int8Array]:
    """The int8 outputs by name, in their shapes in the graph, of what `IntegerNetwork.run` gives."""
    return {name: np.asarray(view.read(memory[view.tensor])) for name, view in network.outputs.items()}


def _array(tensor: torch.Tensor) -> FloatArray:
    array: FloatArray = tensor.detach().numpy()
    return array


def _inputs(part: CorePart | HostPart) -> list[str]:
    if isinstance(part, HostPart):
        return list(part.graph.inputs)
    return [own.name for own in part.compiled.network.inputs]
