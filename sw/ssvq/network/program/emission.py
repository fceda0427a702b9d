"""From an integer network to a program of the core."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ssvq.activation_tensor import ActivationTensor
from ssvq.builder import ProgramBuilder
from ssvq.convolution_geometry import Band, split_bands
from ssvq.image_tensor import ImageTensor
from ssvq.integer_convolution import IntegerConvolution
from ssvq.layer_arithmetic import CompileError
from ssvq.network.errors import GraphError
from ssvq.network.integer.integer_network import (
    ImageStep,
    IntegerNetwork,
    LinearStep,
    ProductStep,
    Step,
    StoredTensor,
    TransferStep,
    VectorStep,
    moved,
)
from ssvq.network.integer.strided import Block
from ssvq.network.program.memory_plan import Lifetime, MemoryPlan, plan_memory
from ssvq.network.program.operation_constants import operation_constants
from ssvq.network.program.transfers import INPUT, OUTPUT, Transfers, output_block
from ssvq.program import Program
from ssvq.reference import Int8Array
from ssvq.vector_image import Bytes
from ssvq_gen.config import CoreConfig

__all__ = ["INPUT", "OUTPUT", "CompiledNetwork", "emit"]

SLACKS = ((4, 4), (2, 4), (2, 2), (1, 1), (1, 0))
"""Steps before the one that takes them at which constants are loaded, and steps for which their words are free before
that: the first of these with which all finds room. A LOAD into words that are in use waits, and all after it."""


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
    found, ahead = _plan(network, config)
    return CompiledNetwork(network=network, program=_Emitter(network, config, found, ahead).program(), plan=found)


def plan(network: IntegerNetwork, config: CoreConfig) -> MemoryPlan:
    """Place tensors, parameters and tables. Raises GraphError when something does not find room."""
    return _plan(network, config)[0]


def _plan(network: IntegerNetwork, config: CoreConfig) -> tuple[MemoryPlan, int]:
    """The plan, and how many steps ahead constants are loaded."""
    errors = []
    for ahead, free in SLACKS:
        try:
            return plan_memory(_lifetimes(network, config, ahead + free), config.activation_depth), ahead
        except GraphError as error:
            errors.append(error)
    raise errors[-1]


def _lifetimes(network: IntegerNetwork, config: CoreConfig, early: int) -> list[Lifetime]:
    """From the first step of each thing, `early` steps before it where that is a constant, to its last."""
    last_step = len(network.steps)
    first: dict[str, int] = {}
    last: dict[str, int] = {view.tensor: last_step for view in network.outputs.values()}
    for number, step in enumerate(network.steps):
        for block in (*step.sources, step.target):
            name = block.tensor
            is_constant = network.tensors[name].values is not None
            first.setdefault(name, max(0, number - early) if is_constant else number)
            last[name] = max(last.get(name, 0), number)
    for own in network.inputs:
        first[own.tensor] = 0
    found = [
        Lifetime(name=name, words=_words(tensor, config), first=first[name], last=last[name])
        for name, tensor in network.tensors.items()
        if not tensor.in_dram
    ]
    for constant in operation_constants(network.steps, config).constants:
        loaded = max(0, constant.first - early)
        found.append(Lifetime(name=constant.name, words=len(constant.words), first=loaded, last=constant.last))
    return found


def _words(tensor: StoredTensor, config: CoreConfig) -> int:
    return tensor.tokens * -(-tensor.channels // config.word_bytes)


class _Emitter:
    def __init__(self, network: IntegerNetwork, config: CoreConfig, plan: MemoryPlan, ahead: int) -> None:
        self._network, self._config, self._places, self._ahead = network, config, plan.places, ahead
        self._constants = operation_constants(network.steps, config)
        self._builder = ProgramBuilder(config)

    def program(self) -> Program:
        network, builder = self._network, self._builder
        transfers = Transfers(network)
        for in_dram in transfers.tensors:
            builder.declare(in_dram)
        for own in network.inputs:
            tensor = network.tensors[own.tensor]
            if not tensor.in_dram:
                builder.load(f"{INPUT}{own.name}", self._whole(tensor), tensor.scale)
        loads, ahead = self._loads(), self._ahead
        for number, step in enumerate(network.steps):
            job = transfers.job(step)
            try:
                for due in loads[0 if number == 0 else number + ahead : number + ahead + 1]:
                    for name, words in due.items():
                        builder.constant(job, words, word=self._places[name])
                if isinstance(step, TransferStep):
                    self._transfer(job, step)
                else:
                    self._step(step)
            except CompileError as error:
                raise GraphError(step.name, error.rule) from error
        for name, view in network.outputs.items():
            if not network.tensors[view.tensor].in_dram:
                block = output_block(network, name, word_bytes=self._config.word_bytes)
                builder.store(f"{OUTPUT}{name}", self._tensor(block), network.output_scales[name])
        return builder.build()

    def _loads(self) -> list[dict[str, Bytes]]:
        """Constants that each step is the first to use."""
        network, config = self._network, self._config
        found: list[dict[str, Bytes]] = [{} for _ in network.steps]
        for constant in self._constants.constants:
            found[constant.first][constant.name] = constant.words
        seen: set[str] = set()
        for step, due in zip(network.steps, found, strict=True):
            for block in step.sources:
                tensor = network.tensors[block.tensor]
                if tensor.values is not None and not tensor.in_dram and tensor.name not in seen:
                    seen.add(tensor.name)
                    due[tensor.name] = _as_words(tensor.values, config)
        return found

    def _transfer(self, job: str, step: TransferStep) -> None:
        if self._network.tensors[step.source.tensor].in_dram:
            self._builder.fill(job, step.source.tensor, self._tensor(step.target), token=step.source.token)
        else:
            self._builder.spill(job, step.target.tensor, self._tensor(step.source), token=step.target.token)

    def _step(self, step: LinearStep | ProductStep | ImageStep | VectorStep) -> None:
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
        table, parameters = self._constant_places(step)
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
        table, parameters = self._constant_places(step)
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

    def _constant_places(self, step: Step) -> tuple[int | None, int | None]:
        """First words of table and parameters; None for a table that it has not, or that the vector unit still has."""
        names = self._constants.names[step.name]
        table, parameters = (None if name is None else self._places[name] for name in (names.table, names.parameters))
        return table, parameters

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
