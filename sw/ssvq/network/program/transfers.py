"""Tensors of a network that are in DRAM, and the jobs that move them and the network's inputs and outputs."""

from __future__ import annotations

from ssvq.dram_tensor import DramRole, DramTensor
from ssvq.network.errors import GraphError
from ssvq.network.integer.integer_network import IntegerNetwork, Step, TransferStep
from ssvq.network.integer.strided import Block, block_of

INPUT, OUTPUT = "input ", "output "
"""What the names of jobs begin with that move a network's inputs and outputs; all others are those of its steps."""


def output_block(network: IntegerNetwork, name: str, *, word_bytes: int) -> Block:
    """Where an output is. Raises GraphError when it is not activations of channels, from the first of a word on."""
    view = network.outputs[name]
    block = block_of(view.transposed(network.output_order(name)), network.tensors[view.tensor].channels)
    if block is None:
        raise GraphError(name, "an output must be activations of channels as they are stored")
    if block.channel % word_bytes:
        rule = f"an output must begin with a memory word of {word_bytes} channels, not with channel {block.channel}"
        raise GraphError(name, rule)
    return block


class Transfers:
    """What is in DRAM.

    Attributes:
        tensors: in the order of the network's.
    """

    def __init__(self, network: IntegerNetwork) -> None:
        inputs = {own.tensor: own.name for own in network.inputs}
        outputs = {view.tensor: name for name, view in network.outputs.items()}
        self._jobs = _deciding_jobs(network, inputs, outputs)
        self.tensors: list[DramTensor] = []
        for name, tensor in network.tensors.items():
            if tensor.in_dram:
                role = DramRole.INPUT if name in inputs else DramRole.OUTPUT if name in outputs else DramRole.SCRATCH
                scale = network.output_scales[outputs[name]] if role is DramRole.OUTPUT else tensor.scale
                size = {"tokens": tensor.tokens, "channels": tensor.channels}
                self.tensors.append(DramTensor(name=name, scale=scale, role=role, **size))

    def job(self, step: Step) -> str:
        """The job of a step: its own, or that of the input or output which it is the first or last to move."""
        return self._jobs.get(step.name, step.name)


def _deciding_jobs(network: IntegerNetwork, inputs: dict[str, str], outputs: dict[str, str]) -> dict[str, str]:
    """Jobs by the step."""
    first: dict[str, str] = {}
    last: dict[str, str] = {}
    for step in network.steps:
        if isinstance(step, TransferStep):
            first.setdefault(step.source.tensor, step.name)
            last[step.target.tensor] = step.name
    found = {first[tensor]: f"{INPUT}{name}" for tensor, name in inputs.items() if tensor in first}
    return found | {last[tensor]: f"{OUTPUT}{name}" for tensor, name in outputs.items() if tensor in last}
