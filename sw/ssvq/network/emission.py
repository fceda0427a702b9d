"""From an integer network to a program of the core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ssvq.activation_tensor import ActivationTensor
from ssvq.builder import ProgramBuilder
from ssvq.channel_operation import ChannelOperation
from ssvq.convolution_geometry import Band, split_bands
from ssvq.image_tensor import ImageTensor
from ssvq.integer_convolution import IntegerConvolution
from ssvq.layer_arithmetic import CompileError
from ssvq.network.errors import GraphError
from ssvq.network.integer_network import (
    ImageStep,
    IntegerNetwork,
    LinearStep,
    ProductStep,
    Step,
    StoredTensor,
    VectorStep,
    moved,
)
from ssvq.network.memory_plan import Lifetime, MemoryPlan, plan_memory
from ssvq.network.strided import Block, block_of
from ssvq.program import Program
from ssvq.reference import Int8Array
from ssvq.vector_image import Bytes, parameter_words, table_words
from ssvq_gen.config import CoreConfig

INPUT, OUTPUT = "input ", "output "
"""What the names of jobs begin with that move a network's inputs and outputs; all others are those of its steps."""
AHEAD = 1
"""Steps before the one that uses them at which constants are loaded."""


@dataclass(frozen=True, kw_only=True)
class CompiledNetwork:
    """A network for a core.

    Attributes:
        network: in the core's integers: the golden model.
        program: what the driver runs.
        plan: where tensors, parameters and tables are meanwhile.
    """

    network: IntegerNetwork
    program: Program
    plan: MemoryPlan


def emit(network: IntegerNetwork, config: CoreConfig) -> CompiledNetwork:
    """Place all tensors in the activation memory, and write the descriptors in the order of the steps.

    Raises:
        GraphError: a tensor does not find room, or a step is not in the core's reach; it names the step.
    """
    plan = plan_memory(_lifetimes(network, config), config.activation_depth)
    return CompiledNetwork(network=network, program=_Emitter(network, config, plan).program(), plan=plan)


def _lifetimes(network: IntegerNetwork, config: CoreConfig) -> list[Lifetime]:
    last_step = len(network.steps)
    first: dict[str, int] = {}
    last: dict[str, int] = {view.tensor: last_step for view in network.outputs.values()}
    for number, step in enumerate(network.steps):
        for block in (*step.sources, step.target):
            name = block.tensor
            early = network.tensors[name].values is not None
            first.setdefault(name, max(0, number - AHEAD) if early else number)
            last[name] = max(last.get(name, 0), number)
    for own in network.inputs:
        first[own.tensor] = 0
    found = [
        Lifetime(name=name, words=_words(tensor, config), first=first[name], last=last[name])
        for name, tensor in network.tensors.items()
    ]
    for number, constants in enumerate(_constants(network.steps, config)):
        for name, words in constants.items():
            found.append(Lifetime(name=name, words=len(words), first=max(0, number - AHEAD), last=number))
    return found


def _constants(steps: Sequence[Step], config: CoreConfig) -> list[dict[str, Bytes]]:
    """Parameters and table of each step by name, those that it has; a table that the vector unit still has is none."""
    found: list[dict[str, Bytes]] = []
    table = b""
    for step in steps:
        parts: dict[str, Bytes] = {}
        operation = step.operation if isinstance(step, VectorStep | ImageStep) else None
        if isinstance(operation, ChannelOperation):
            if len(parameters := parameter_words(operation, config)):
                parts[f"{step.name} parameters"] = parameters
            if len(wanted := table_words(operation, config)) and wanted.tobytes() != table:
                parts[f"{step.name} table"] = wanted
                table = wanted.tobytes()
        found.append(parts)
    return found


def _words(tensor: StoredTensor, config: CoreConfig) -> int:
    return tensor.tokens * -(-tensor.channels // config.word_bytes)


class _Emitter:
    def __init__(self, network: IntegerNetwork, config: CoreConfig, plan: MemoryPlan) -> None:
        self._network, self._config, self._places = network, config, plan.places
        self._builder = ProgramBuilder(config)

    def program(self) -> Program:
        network, builder = self._network, self._builder
        for own in network.inputs:
            tensor = network.tensors[own.tensor]
            builder.load(f"{INPUT}{own.name}", self._whole(tensor), tensor.scale)
        loads = self._loads()
        for number, step in enumerate(network.steps):
            try:
                for due in loads[: AHEAD + 1] if number == 0 else loads[number + AHEAD : number + AHEAD + 1]:
                    for name, words in due.items():
                        builder.constant(step.name, words, word=self._places[name])
                self._step(step)
            except CompileError as error:
                raise GraphError(step.name, error.rule) from error
        for name, view in network.outputs.items():
            block = block_of(view.transposed(network.output_order(name)), network.tensors[view.tensor].channels)
            if block is None:
                raise GraphError(name, "an output must be activations of channels as they are stored")
            builder.store(f"{OUTPUT}{name}", self._tensor(block), network.output_scales[name])
        return builder.build()

    def _loads(self) -> list[dict[str, Bytes]]:
        """Constants that each step is the first to use."""
        found = _constants(self._network.steps, self._config)
        seen: set[str] = set()
        for step, due in zip(self._network.steps, found, strict=True):
            for block in step.sources:
                tensor = self._network.tensors[block.tensor]
                if tensor.values is not None and tensor.name not in seen:
                    seen.add(tensor.name)
                    due[tensor.name] = _as_words(tensor.values, self._config)
        return found

    def _step(self, step: Step) -> None:
        if isinstance(step, LinearStep):
            for start, stop in self._chunks(step.source.tokens, self._config.accumulator_depth):
                source, target = (self._tensor(_tokens(block, start, stop)) for block in (step.source, step.target))
                self._builder.matmul(step.layer, source=source, target=target, name=step.name)
        elif isinstance(step, ProductStep):
            self._product(step)
        elif isinstance(step, ImageStep):
            self._image(step)
        else:
            self._vector(step)

    def _product(self, step: ProductStep) -> None:
        for start, stop in self._chunks(step.source.tokens, self._config.accumulator_depth):
            source, target = (self._tensor(_tokens(block, start, stop)) for block in (step.source, step.target))
            self._builder.product(
                replace(step.product, tokens=stop - start),
                source=source,
                operand=self._tensor(step.operand),
                target=target,
                source_batch_stride=self._stride(step.source, step.source_stride),
                operand_batch_stride=self._stride(step.operand, step.operand_stride),
                target_batch_stride=self._stride(step.target, step.target_stride),
                name=step.name,
            )

    def _image(self, step: ImageStep) -> None:
        """The image as a whole is where its first row would be; only the rows of the step are there."""
        operation, source_width, target_width = step.operation, step.width, step.output_width
        height, _ = operation.geometry.output_size(step.height, step.width)
        source = self._as_image(step.source, step.height, source_width, step.first_row)
        target = self._as_image(step.target, height, target_width, step.rows[0])
        table, parameters = (self._places.get(f"{step.name} {part}") for part in ("table", "parameters"))
        for number, part in enumerate(split_bands(self._config, step.band.height, step.band.width)):
            band = Band(y=step.rows[0] + part.y, x=part.x, height=part.height, width=part.width)
            if isinstance(operation, IntegerConvolution):
                self._builder.convolution(operation, source=source, target=target, band=band, name=step.name)
            else:
                self._builder.windows(
                    operation,
                    source=source,
                    target=target,
                    band=band,
                    parameters=parameters or 0,
                    table=table or 0,
                    table_kept=table is None or number > 0,
                    name=step.name,
                )

    def _as_image(self, block: Block, height: int, width: int, first_row: int) -> ImageTensor:
        tensor = self._tensor(block)
        return ImageTensor(
            word=tensor.word - first_row * width * tensor.stride,
            height=height,
            width=width,
            channels=block.channels,
            stride=tensor.stride,
            row_stride=width * tensor.stride,
        )

    def _vector(self, step: VectorStep) -> None:
        table, parameters = (self._places.get(f"{step.name} {part}") for part in ("table", "parameters"))
        for start, stop in self._chunks(step.target.tokens, self._config.accumulator_depth):
            source, *others = (self._tensor(_tokens(block, start, stop)) for block in step.sources)
            self._builder.vector(
                step.operation,
                source=source,
                second=others[0] if others else None,
                target=self._tensor(_tokens(step.target, start, stop)),
                parameters=parameters or 0,
                table=table or 0,
                table_kept=table is None or start > 0,
                name=step.name,
            )

    @staticmethod
    def _chunks(tokens: int, most: int) -> list[tuple[int, int]]:
        """Even parts of at most `most`."""
        count = -(-tokens // most)
        size = -(-tokens // count)
        return [(start, min(start + size, tokens)) for start in range(0, tokens, size)]

    def _whole(self, tensor: StoredTensor) -> ActivationTensor:
        return self._tensor(Block(tensor=tensor.name, tokens=tensor.tokens, channels=tensor.channels))

    def _tensor(self, block: Block) -> ActivationTensor:
        """Where a block is."""
        stride = self._token_words(block.tensor)
        word = self._places[block.tensor] + block.token * stride + block.channel // self._config.word_bytes
        return ActivationTensor(word=word, tokens=block.tokens, channels=block.channels, stride=stride * block.step)

    def _stride(self, block: Block, stride: tuple[int, int]) -> int:
        """Words from a matrix of a batch to the next."""
        next_one = moved(block, stride, 1)
        if next_one.channel % self._config.word_bytes:
            rule = f"matrices must begin with words of {self._config.word_bytes} channels, not {next_one.channel} apart"
            raise GraphError(block.tensor, rule)
        return self._tensor(next_one).word - self._tensor(block).word

    def _token_words(self, name: str) -> int:
        return -(-self._network.tensors[name].channels // self._config.word_bytes)


def _tokens(block: Block, start: int, stop: int) -> Block:
    return replace(block, token=block.token + start * block.step, tokens=stop - start)


def _as_words(values: Int8Array, config: CoreConfig) -> Bytes:
    """A constant, int8 (T, C), as it is stored: uint8 (words, word_bytes)."""
    padded = np.pad(values, ((0, 0), (0, -values.shape[1] % config.word_bytes)))
    return padded.view(np.uint8).reshape(-1, config.word_bytes)
