"""A network in the core's integers: stored tensors and the steps between them, and their golden values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from ssvq.convolution_geometry import Band, ConvolutionGeometry
from ssvq.integer_convolution import IntegerConvolution
from ssvq.integer_layer import IntegerLayer
from ssvq.network.errors import GraphError
from ssvq.network.integer.strided import Block, View, inverse_order, stored_order
from ssvq.product import IntegerProduct
from ssvq.reference import ActivationScale, FloatArray, Int8Array
from ssvq.vector_operation import VectorOperation
from ssvq.window_operation import WindowOperation


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredTensor:
    """int8 activations of a tensor that is stored, T x C.

    Attributes:
        name: of the value in the graph.
        values: of a constant; None for what is computed or comes from outside.
        in_dram: it is not in the activation memory; only a `TransferStep` reads or writes it.
    """

    name: str
    tokens: int
    channels: int
    scale: ActivationScale
    values: Int8Array | None = None
    in_dram: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearStep:
    """A matrix multiplication with weights, with its activation function as a clamp."""

    name: str
    layer: IntegerLayer
    source: Block
    target: Block

    @property
    def sources(self) -> tuple[Block, ...]:
        """What it reads."""
        return (self.source,)


@dataclass(frozen=True, kw_only=True, eq=False)
class ProductStep:
    """Products of activations; blocks are those of the first, strides are (tokens, channels) to the next."""

    name: str
    product: IntegerProduct
    source: Block
    operand: Block
    target: Block
    source_stride: tuple[int, int]
    operand_stride: tuple[int, int]
    target_stride: tuple[int, int]

    @property
    def sources(self) -> tuple[Block, ...]:
        """What it reads, product by product: inputs, then operands."""
        count = self.product.batch_count
        inputs = (moved(self.source, self.source_stride, number) for number in range(count))
        return (*inputs, *(moved(self.operand, self.operand_stride, number) for number in range(count)))


@dataclass(frozen=True, kw_only=True, eq=False)
class VectorStep:
    """A vector operation of one or two blocks."""

    name: str
    operation: VectorOperation
    sources: tuple[Block, ...]
    target: Block


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageStep:
    """A convolution, a pooling or a depthwise convolution of an image: all of its output, or some rows of it.

    Attributes:
        operation: what it does with windows.
        height, width: of the whole image, in pixels.
        first_row: of the image that is in `source`; a pixel is an activation.
        source: rows of the image that are there, at least those that the output needs.
        rows: of the whole output, start and stop.
        target: pixels of these rows.
    """

    name: str
    operation: IntegerConvolution | WindowOperation
    height: int
    width: int
    first_row: int = 0
    source: Block
    rows: tuple[int, int]
    target: Block

    @property
    def sources(self) -> tuple[Block, ...]:
        """What it reads."""
        return (self.source,)

    @property
    def output_width(self) -> int:
        """Pixels of a row of the output."""
        return self.operation.geometry.output_size(self.height, self.width)[1]

    @property
    def band(self) -> Band:
        """Its rows as pixels."""
        start, stop = self.rows
        return Band(y=start, x=0, height=stop - start, width=self.output_width)

    def reference(self, source: Int8Array) -> Int8Array:
        """int8 (pixels, channels) of its rows, from those of the image, (pixels, channels)."""
        geometry, (start, stop) = self.operation.geometry, self.rows
        (above, _, left, right), stride = geometry.padding, geometry.stride[0]
        first = start * stride - above
        last = (stop - 1) * stride - above + (geometry.kernel[0] - 1) * geometry.dilation[0]
        # windows may have no row of the image at all, where there is more padding than kernel
        begin, end = (min(max(row, 0), self.height) for row in (first, last + 1))
        top = min(max(0, -first), last + 1 - first)
        bottom = last + 1 - first - top - (end - begin)
        image = source.reshape(-1, self.width, source.shape[1])
        part = image[begin - self.first_row : end - self.first_row] if end > begin else image[:0]
        operation = replace(self.operation, geometry=replace(geometry, padding=(top, bottom, left, right)))
        found = operation.reference(part)
        output = found if isinstance(found, np.ndarray) else found.output
        return output.reshape(-1, output.shape[2])


@dataclass(frozen=True, kw_only=True, eq=False)
class TransferStep:
    """Activations with all their channels from a tensor in DRAM to one in the activation memory, or back."""

    name: str
    source: Block
    target: Block

    @property
    def sources(self) -> tuple[Block, ...]:
        """What it reads."""
        return (self.source,)


Step = LinearStep | ProductStep | VectorStep | ImageStep | TransferStep


@dataclass(frozen=True, kw_only=True)
class NetworkInput:
    """How a graph's input becomes a stored tensor: reshaped to `shape`, its axes in the order of `permutation`.

    With `windows`, that is an image (H, W, C), and what is stored are its windows, padded with zeros: an activation
    (kh * kw * C) for each.
    """

    name: str
    tensor: str
    shape: tuple[int, ...]
    permutation: tuple[int, ...]
    windows: ConvolutionGeometry | None = None

    def arrange(self, values: FloatArray) -> FloatArray:
        """The values as they are stored, but for their shape."""
        ordered = np.asarray(values).reshape(self.shape).transpose(self.permutation)
        return np.ascontiguousarray(ordered if self.windows is None else self.windows.windows(ordered, 0))


@dataclass(frozen=True, kw_only=True, eq=False)
class IntegerNetwork:
    """Steps in order. All of it is on the core, between the inputs and the outputs.

    Attributes:
        tensors: stored ones, by name.
        inputs: in the order of the model's arguments.
        outputs: views of stored tensors by name.
        output_scales: what their values mean.
    """

    tensors: Mapping[str, StoredTensor]
    inputs: tuple[NetworkInput, ...]
    steps: tuple[Step, ...]
    outputs: Mapping[str, View]
    output_scales: Mapping[str, ActivationScale]

    def __post_init__(self) -> None:
        for field in ("tensors", "outputs", "output_scales"):
            object.__setattr__(self, field, MappingProxyType(dict(getattr(self, field))))

    def quantize_inputs(self, *inputs: FloatArray) -> dict[str, Int8Array]:
        """int8 (T, C) of each input's stored tensor. Raises GraphError when there are more or fewer than inputs."""
        if len(inputs) != len(self.inputs):
            raise GraphError("inputs", f"there must be {len(self.inputs)}, not {len(inputs)}")
        found = {}
        for own, values in zip(self.inputs, inputs, strict=True):
            tensor = self.tensors[own.tensor]
            found[own.tensor] = tensor.scale.quantize(own.arrange(values)).reshape(tensor.tokens, tensor.channels)
        return found

    def run(self, inputs: Mapping[str, Int8Array]) -> dict[str, Int8Array]:
        """Values of all stored tensors, int8 (T, C) by name: the golden model of the core.

        Args:
            inputs: as of `quantize_inputs`.

        Raises:
            GraphError: an input is missing, or has another shape or type.
        """
        memory: dict[str, Int8Array] = {}
        for name, tensor in self.tensors.items():
            memory[name] = np.zeros((tensor.tokens, tensor.channels), dtype=np.int8)
            if tensor.values is not None:
                memory[name][:] = tensor.values
        for own in self.inputs:
            given = inputs.get(own.tensor)
            if given is None or given.dtype != np.int8 or given.shape != memory[own.tensor].shape:
                raise GraphError(own.name, f"an input must be int8 of shape {memory[own.tensor].shape}")
            memory[own.tensor][:] = given
        for step in self.steps:
            for target, values in _results(step, memory):
                write_block(memory, target, values)
        return memory

    def output_order(self, name: str) -> tuple[int, ...]:
        """Axes of an output as they are stored, and leave the core: activations, and the channels last."""
        view = self.outputs[name]
        return stored_order(view, self.tensors[view.tensor].channels)

    def restore(self, name: str, stored: Int8Array) -> FloatArray:
        """Real values of an output, float32 of its shape in the graph, from what leaves the core, int8 (T, C)."""
        order = self.output_order(name)
        shape = tuple(self.outputs[name].shape[axis] for axis in order)
        return self.output_scales[name].dequantize(stored.reshape(shape).transpose(inverse_order(order)))

    def output(self, memory: Mapping[str, Int8Array], name: str) -> FloatArray:
        """Real values of an output, float32 of its shape in the graph, from what `run` gives."""
        view = self.outputs[name]
        return self.output_scales[name].dequantize(view.read(memory[view.tensor]))


def _results(step: Step, memory: Mapping[str, Int8Array]) -> Iterator[tuple[Block, Int8Array]]:
    if isinstance(step, LinearStep):
        yield step.target, step.layer.reference(read_block(memory, step.source)).output
    elif isinstance(step, VectorStep):
        yield step.target, step.operation.reference(*(read_block(memory, source) for source in step.sources))
    elif isinstance(step, ImageStep):
        yield step.target, step.reference(read_block(memory, step.source))
    elif isinstance(step, TransferStep):
        yield step.target, read_block(memory, step.source)
    else:
        count = step.product.batch_count
        blocks = [read_block(memory, source) for source in step.sources]
        outputs = step.product.reference(np.stack(blocks[:count]), np.stack(blocks[count:]))
        for number, output in enumerate(outputs):
            yield moved(step.target, step.target_stride, number), output


def moved(block: Block, stride: tuple[int, int], number: int) -> Block:
    """The block of the product of that number in a batch."""
    tokens, channels = stride
    return Block(
        tensor=block.tensor,
        token=block.token + number * tokens,
        channel=block.channel + number * channels,
        tokens=block.tokens,
        channels=block.channels,
        step=block.step,
    )


def read_block(memory: Mapping[str, Int8Array], block: Block) -> Int8Array:
    """int8 (tokens, channels), a copy."""
    if block.step == 0:
        one = read_block(memory, replace(block, tokens=1, step=1))
        return np.repeat(one, block.tokens, axis=0)
    rows, channels = _places(block)
    return np.ascontiguousarray(memory[block.tensor][rows, channels])


def write_block(memory: Mapping[str, Int8Array], block: Block, values: Int8Array) -> None:
    """Put values, (tokens, channels), where a block is."""
    rows, channels = _places(block)
    memory[block.tensor][rows, channels] = values


def _places(block: Block) -> tuple[slice, slice]:
    rows = slice(block.token, block.token + (block.tokens - 1) * block.step + 1, block.step)
    return rows, slice(block.channel, block.channel + block.channels)
