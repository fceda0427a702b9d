"""Random programs whose descriptors depend on each other in every way, and what they have to leave in DRAM."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum, auto
from typing import Any, TypeVar

import numpy as np

from ssvq.activation_tensor import ActivationTensor
from ssvq.builder import ProgramBuilder
from ssvq.channel_operation import ChannelOperation
from ssvq.convolution_geometry import Band, ConvolutionGeometry, split_bands
from ssvq.image_tensor import ImageTensor
from ssvq.integer_layer import CompileError
from ssvq.integer_weights import IntegerWeights
from ssvq.product import IntegerProduct
from ssvq.program import Program
from ssvq.reference import ActivationScale, Int8Array
from ssvq.vector_image import parameter_words, table_words
from ssvq_gen.arithmetic import encode_multiplier
from ssvq_gen.config import CoreConfig, WeightFormat
from ssvq_gen.format import VECTOR_OPCODES, VECTOR_WINDOW_OPCODES, FormatError, Opcode
from ssvq_gen.stream_format import StreamFormat

from .layers import random_convolution, random_layer
from .model_outputs import outputs_of
from .vector_operations import random_geometry, random_operation

ALL = "all"
"""Job that loads the whole activation memory at the beginning, and stores it at the end."""
_SYMMETRIC = ActivationScale(scale=0.1)
_SPREAD = 60
"""Standard deviation that outputs are aimed at, of int8 inputs and weights that are spread evenly."""
_EVEN = 74.0
"""Standard deviation of int8 values that are spread evenly."""
_FOLLOWS = 0.6
_TRIES = 400
Weights = TypeVar("Weights", bound=IntegerWeights)


class Kind(Enum):
    """Kinds of steps of a program."""

    COPY = auto()
    MATMUL = auto()
    PRODUCT = auto()
    VECTOR = auto()
    WINDOWS = auto()
    CONVOLUTION = auto()


class ProgramCase:
    """A program of about `steps` random descriptors, of all kinds or of one, on any words of the activation memory.

    inputs : int8 (tokens, channels) by job, as the driver takes them
    scaled : outputs of vector operations are spread over int8, so that errors in them show
    """

    def __init__(
        self,
        config: CoreConfig,
        rng: np.random.Generator,
        *,
        steps: int,
        only: Kind | None = None,
        scaled: bool = False,
    ) -> None:
        self._config, self._rng, self._scaled = config, rng, scaled
        self._builder = ProgramBuilder(config)
        self._output: ActivationTensor | None = None  # of the matrix product before
        self.inputs: dict[str, Int8Array] = {}
        everything = ActivationTensor(word=0, tokens=config.activation_depth, channels=config.word_bytes, stride=1)
        self._load(ALL, everything)
        chosen = {
            Kind.COPY: [self._copy_in, self._copy_out],
            Kind.MATMUL: [self._matmul] * 3,
            Kind.PRODUCT: [self._product] * 2 * config.attention,
            Kind.VECTOR: [self._vector] * 2 * config.vector,
            Kind.WINDOWS: [self._windows] * 2 * config.vector,
            Kind.CONVOLUTION: [self._convolution] * 2 * config.convolution,
        }
        kinds = [step for kind, those in chosen.items() for step in those if only in (None, kind)]
        made = 0
        for attempt in range(_TRIES):
            if made == steps:
                break
            try:
                kinds[rng.integers(len(kinds))](f"step{attempt}")
                made += 1
            except CompileError:  # its tensors overlap, or are too large for the memory
                continue
        self._builder.store(f"{ALL}_out", everything, _SYMMETRIC)
        self.program: Program = self._builder.build()

    def expected(self) -> dict[str, Int8Array]:
        """Outputs by job, of the descriptors one after the other."""
        return outputs_of(self._config, self.program, self.inputs)

    def _load(self, name: str, tensor: ActivationTensor) -> None:
        self._builder.load(name, tensor, _SYMMETRIC)
        self.inputs[name] = self._rng.integers(-128, 128, (tensor.tokens, tensor.channels), dtype=np.int8)

    def _tensor(self, tokens: int, channels: int) -> ActivationTensor:
        words = -(-channels // self._config.word_bytes)
        stride = words + int(self._rng.integers(0, 3))
        room = self._config.activation_depth - (tokens - 1) * stride - words - 4
        if room < 1:
            raise CompileError("", "too large")
        return ActivationTensor(word=int(self._rng.integers(room)), tokens=tokens, channels=channels, stride=stride)

    def _tokens(self) -> int:
        depth = self._config.accumulator_depth
        return int(self._rng.choice((1, 2, int(self._rng.integers(1, depth + 1)), depth)))

    def _channels(self, tile: int) -> int:
        return int(self._rng.choice((int(self._rng.integers(1, 3 * tile + 2)), tile, 2 * tile)))

    def _copy_in(self, name: str) -> None:
        self._load(name, self._tensor(self._tokens(), self._channels(self._config.word_bytes)))

    def _copy_out(self, name: str) -> None:
        tensor = self._tensor(self._tokens(), self._channels(self._config.word_bytes))
        self._builder.store(name, tensor, _SYMMETRIC)

    def _matmul(self, name: str) -> None:
        """Mostly on the output of the matrix product before, as layers follow each other."""
        before, config = self._output, self._config
        source = (
            before
            if before and self._rng.random() < _FOLLOWS
            else self._tensor(self._tokens(), self._channels(config.rows))
        )
        layer = tuned(self._rng, random_layer(self._rng, **self._choices(name, source.channels)))
        target = self._tensor(source.tokens, layer.out_channels)
        self._builder.matmul(layer, source=source, target=target)
        self._output = target

    def _convolution(self, name: str) -> None:
        """A band of the output, often of an image that the matrix product before has left."""
        rng, before = self._rng, self._output
        image = self._image(before, self._config.rows)
        kernel, stride, dilation = ((int(a), int(b)) for a, b in rng.integers(1, 4, (3, 2)))
        top, bottom, left, right = (int(size) for size in rng.integers(0, 3, 4))
        geometry = ConvolutionGeometry(
            kernel=kernel, stride=stride, dilation=dilation, padding=(top, bottom, left, right)
        )
        layer = random_convolution(rng, geometry=geometry, **self._choices(name, image.channels))
        output, target, band = self._band(name, geometry, image, layer.out_channels)
        self._builder.convolution(tuned(rng, layer), source=image, target=target, band=band)
        self._output = output

    def _image(self, before: ActivationTensor | None, tile: int) -> ImageTensor:
        """An image, often the activations that were there before."""
        rng = self._rng
        if before and rng.random() < _FOLLOWS:
            width = int(rng.choice([n for n in range(1, before.tokens + 1) if before.tokens % n == 0]))
            height, row_stride = before.tokens // width, width * before.stride
        else:
            height, width = (int(size) for size in rng.integers(1, 6, 2))
            before = self._tensor(height * width + height, self._channels(tile))
            row_stride = (width + 1) * before.stride
        return ImageTensor(
            word=before.word,
            height=height,
            width=width,
            channels=before.channels,
            stride=before.stride,
            row_stride=row_stride,
        )

    def _band(
        self, name: str, geometry: ConvolutionGeometry, image: ImageTensor, channels: int
    ) -> tuple[ActivationTensor, ImageTensor, Band]:
        """A band of an output, where it is, and the image that it is a band of."""
        try:
            size = geometry.output_size(image.height, image.width)
        except ValueError as error:
            raise CompileError(name, str(error)) from error
        bands = split_bands(self._config, *size)
        band = bands[self._rng.integers(len(bands))]
        output = self._tensor(band.pixels, channels)
        target = ImageTensor(
            word=output.word - band.y * size[1] * output.stride - band.x * output.stride,
            height=size[0],
            width=size[1],
            channels=output.channels,
            stride=output.stride,
            row_stride=size[1] * output.stride,
        )
        return output, target, band

    def _choices(self, name: str, in_channels: int) -> dict[str, Any]:
        """Arguments of a random layer in any format of the core."""
        config, rng = self._config, self._rng
        weight_format = config.formats[rng.integers(len(config.formats))]
        codebook_size, vector_dim = 256, 1
        while weight_format is not WeightFormat.INT8:
            codebook_size, vector_dim = 1 << int(rng.integers(1, 9)), 1 << int(rng.integers(1, 6))
            try:
                StreamFormat(
                    config=config, weight_format=weight_format, codebook_size=codebook_size, vector_dim=vector_dim
                )
                break
            except FormatError:
                continue
        return {
            "weight_format": weight_format,
            "out_channels": self._channels(config.cols),
            "in_channels": in_channels,
            "codebook_size": codebook_size,
            "vector_dim": vector_dim,
            "name": name,
        }

    def _product(self, name: str) -> None:
        rng, config = self._rng, self._config
        tokens, k, n = self._tokens(), self._channels(config.rows), self._channels(config.cols)
        transposed = bool(rng.integers(2))
        batch = int(rng.integers(1, 4))
        product = spread_product(name, (tokens, k, n), transposed=transposed, batch_count=batch)
        source, target = self._tensor(tokens, k), self._tensor(tokens, n)
        operand = self._tensor(n, k) if transposed else self._tensor(k, n)
        self._builder.product(
            product,
            source=source,
            operand=operand,
            target=target,
            source_batch_stride=int(rng.integers(0, 2 * source.stride)),
            operand_batch_stride=int(rng.integers(0, 2 * operand.stride)),
            target_batch_stride=int(rng.integers(0, tokens * target.stride + 2)),
        )
        self._output = target

    def _vector(self, name: str) -> None:
        """Mostly on the output of the matrix product before; its parameters and table come just before it."""
        rng, config, before = self._rng, self._config, self._output
        opcode = Opcode(int(rng.choice([opcode for opcode in VECTOR_OPCODES if opcode not in VECTOR_WINDOW_OPCODES])))
        source = (
            before
            if before and rng.random() < _FOLLOWS
            else self._tensor(self._tokens(), self._channels(config.word_bytes))
        )
        operation = random_operation(rng, opcode, source.channels, scaled=self._scaled)
        places = self._constants(name, operation)
        shape = source.tokens, source.channels
        target = self._tensor(*shape)
        second = self._tensor(*shape) if operation.has_second else None
        kept = bool(len(table_words(operation, config)) and rng.random() < 0.3)
        for table_kept in (False, True)[: 1 + kept]:
            self._builder.vector(
                operation,
                source=source,
                second=second,
                target=target,
                parameters=places[0],
                table=places[1],
                table_kept=table_kept,
                name=name,
            )
            target = self._tensor(*shape)

    def _windows(self, name: str) -> None:
        """As `_vector`, on an image and without a kept table; its output is there for what follows."""
        rng = self._rng
        opcode = Opcode(int(rng.choice(VECTOR_WINDOW_OPCODES if self._config.depthwise_taps else [Opcode.POOL])))
        geometry = random_geometry(rng, opcode, largest=4)
        image = self._image(self._output, self._config.word_bytes)
        output, target, band = self._band(name, geometry, image, image.channels)
        operation = random_operation(rng, opcode, image.channels, geometry, scaled=self._scaled)
        parameters, table = self._constants(name, operation)
        self._builder.windows(
            operation, source=image, target=target, band=band, parameters=parameters, table=table, name=name
        )
        self._output = output

    def _constants(self, name: str, operation: ChannelOperation) -> list[int]:
        """Words at which the parameters and the table are."""
        places = []
        for words in (parameter_words(operation, self._config), table_words(operation, self._config)):
            place = int(self._rng.integers(max(1, self._config.activation_depth - len(words))))
            places.append(place)
            if len(words):
                self._builder.constant(name, words, word=place)
        return places


def spread_product(name: str, shape: tuple[int, int, int], *, transposed: bool, batch_count: int = 1) -> IntegerProduct:
    """A product of (tokens, input channels, output channels) with outputs that are spread over int8."""
    tokens, in_channels, out_channels = shape
    mantissa, exponent = encode_multiplier(_SPREAD / (_EVEN**2 * in_channels**0.5))
    return IntegerProduct(
        name=name,
        tokens=tokens,
        in_channels=in_channels,
        out_channels=out_channels,
        batch_count=batch_count,
        transposed=transposed,
        input_scale=_SYMMETRIC,
        operand_scale=_SYMMETRIC,
        output_scale=_SYMMETRIC,
        mantissa=mantissa,
        exponent=exponent,
    )


def tuned(rng: np.random.Generator, layer: Weights) -> Weights:
    """The layer with outputs that are spread over int8."""
    mantissa, exponent = encode_multiplier(_SPREAD / (_EVEN**2 * layer.weight.shape[1] ** 0.5))
    channels = layer.out_channels
    return replace(
        layer,
        bias=rng.integers(-1000, 1000, channels),
        mantissa=np.full(channels, mantissa),
        exponent=np.full(channels, exponent),
        output_scale=replace(layer.output_scale, zero_point=int(rng.integers(-10, 11))),
    )
