"""Networks that do not fit the activation memory: tiled over rows, and what still does not fit in DRAM.

A network of any size is a sequence of segments, runs of steps. A segment is done band by band over the rows of the last
step's target. What only its own steps take is in the memory for one band, with the rows around it that windows need,
which are computed again for the next band. What later segments take is written row by row where it stays, or to DRAM.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from ssvq.network.errors import GraphError
from ssvq.network.integer.integer_network import IntegerNetwork, Step, StoredTensor, TransferStep
from ssvq.network.integer.strided import Block
from ssvq.network.program.emission import plan
from ssvq.network.program.transfers import output_block
from ssvq.network.tiling.band_choice import BandChoice, NoChoice
from ssvq.network.tiling.segments import Part, Segment
from ssvq.network.tiling.step_map import StepMap
from ssvq.network.tiling.token_ranges import Copy, TokenRanges
from ssvq_gen.config import CoreConfig

_SHARES = (100, 95, 90, 85, 80, 75, 70, 60, 50)
"""Parts of the memory, in percent, that are tried until all finds a place in it: gaps between things take the rest."""


def banded(network: IntegerNetwork, config: CoreConfig) -> IntegerNetwork:
    """A network with the same integers that fits: the same one when that does.

    Raises:
        GraphError: there is none; it names the step, and the words that it needs.
    """
    error: GraphError | None = _plan_error(network, config)
    if error is None:
        return network
    found, steps = network, StepMap(network, config)
    choice = BandChoice(steps)
    for share in _SHARES:
        try:
            segments = _choose(steps, choice, config.activation_depth * share // 100)
        except GraphError as no_choice:
            raise (no_choice if found is network else error) from None
        found = _assembled(network, segments)
        error = _plan_error(found, config)
        if error is None:
            return found
    raise error


def _plan_error(network: IntegerNetwork, config: CoreConfig) -> GraphError | None:
    """Why not everything finds a place."""
    try:
        plan(network, config)
    except GraphError as error:
        return error
    return None


def _choose(steps: StepMap, choice: BandChoice, words: int) -> list[Segment]:
    """Segments, with as many tensors in DRAM as it takes: the largest one where there is no way on, again and again."""
    in_dram: list[str] = []
    while True:
        try:
            return choice.segments(words, in_dram)
        except NoChoice as error:
            name = _largest(steps, error.step, in_dram)
            if name is None:
                needed, depth = choice.least_words(error.step, in_dram), steps.config.activation_depth
                rule = f"it needs {needed} words even in parts, the activation memory has {depth}"
                raise GraphError(steps.network.steps[error.step].name, rule) from error
            in_dram.append(name)


def _largest(steps: StepMap, number: int, in_dram: Collection[str]) -> str | None:
    """The tensor to put into DRAM: the largest of those that are in the memory in a step."""
    candidates = [
        (steps.tensor_words(name), name)
        for name, written in steps.written.items()
        if written <= number <= steps.used.get(name, -1) and name not in in_dram and _may_move(steps, name)
    ]
    return max(candidates, key=lambda one: one[0])[1] if candidates else None


def _may_move(steps: StepMap, name: str) -> bool:
    """An output is moved as a whole or not at all."""
    outputs = [output for output, view in steps.network.outputs.items() if view.tensor == name]
    is_input = any(own.tensor == name for own in steps.network.inputs)
    tensor = steps.tensors[name]
    if not outputs:
        return True
    whole = Block(tensor=name, tokens=tensor.tokens, channels=tensor.channels)
    block = output_block(steps.network, outputs[0], word_bytes=steps.config.word_bytes)
    return len(outputs) == 1 and not is_input and block == whole


def _assembled(network: IntegerNetwork, segments: list[Segment]) -> IntegerNetwork:
    """The network of all parts. In DRAM is what they move there or take from there."""
    in_dram = {copy.tensor for own in segments for part in own.parts for copy in (*part.fills, *part.spills)}
    tensors = {name: replace(tensor, in_dram=name in in_dram) for name, tensor in network.tensors.items()}
    result: list[Step] = []
    for segment in segments:
        names: dict[Copy, Copy] = {}
        for part in segment.parts:
            for copy in part.copies.values():
                if copy not in names:
                    names[copy] = replace(copy, name=_unused(copy.name, tensors))
                    tensors[names[copy].name] = _copied(tensors[copy.tensor], names[copy])
            result += _steps_of(part, segment, network.steps[part.step], names, network.tensors)
    used = {block.tensor for step in result for block in (*step.sources, step.target)}
    used |= {view.tensor for view in network.outputs.values()} | {own.tensor for own in network.inputs}
    kept = {name: tensor for name, tensor in tensors.items() if name in used}
    return replace(network, tensors=kept, steps=tuple(result))


def _steps_of(
    part: Part, segment: Segment, step: Step, names: Mapping[Copy, Copy], tensors: Mapping[str, StoredTensor]
) -> list[Step]:
    """A part with its transfers."""
    band = f" band {part.band}" if segment.bands > 1 else ""
    copies = {name: names[copy] for name, copy in part.copies.items()}
    found: list[Step] = []
    for number, copy in enumerate((*part.fills, *part.spills)):
        whole, own = _blocks(names[copy], tensors[copy.tensor])
        is_fill = number < len(part.fills)
        source, target = (whole, own) if is_fill else (own, whole)
        name = f"{'fill' if is_fill else 'spill'} {names[copy].name} of {step.name}{band}"
        found.append(TransferStep(name=name, source=source, target=target))
    own_step = TokenRanges(step).part_of(part.made, copies, f"{step.name}{band}")
    return [*found[: len(part.fills)], own_step, *found[len(part.fills) :]]


def _blocks(copy: Copy, tensor: StoredTensor) -> tuple[Block, Block]:
    """Activations in the tensor, and in its copy."""
    start, stop = copy.tokens
    own = Block(tensor=copy.name, tokens=stop - start, channels=tensor.channels)
    return replace(own, tensor=tensor.name, token=start), own


def _copied(tensor: StoredTensor, copy: Copy) -> StoredTensor:
    """The stored tensor that a copy is."""
    start, stop = copy.tokens
    values = None if tensor.values is None else tensor.values[start:stop]
    return replace(tensor, name=copy.name, tokens=stop - start, values=values, in_dram=False)


def _unused(name: str, tensors: Mapping[str, StoredTensor]) -> str:
    number, found = 1, name
    while found in tensors:
        number += 1
        found = f"{name} {number}"
    return found
