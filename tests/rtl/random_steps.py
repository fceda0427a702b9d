"""Random matrix steps, many of them on the outputs of the one before."""

from typing import Any

import numpy as np
from layer_shapes import RECORDS
from matrix_programs import ALL_TILES, MatrixProgram, Step, conv_step, matmul_step, product_step, random_words

from ssvq.convolution_geometry import ConvolutionGeometry, split_bands
from ssvq.image_tensor import ImageTensor
from ssvq.integer_layer import IntegerLayer
from ssvq_gen.config import CoreConfig
from ssvq_sim.systems.layers import random_convolution, random_layer

_FOLLOWS = 0.6
_TRIES = 200


class _DoesNotFitError(Exception):
    pass


class RandomSteps:
    """Draws steps on any words of the memory; many follow one another, as the layers of a network do."""

    def __init__(self, config: CoreConfig, rng: Any, *, products: float, convolutions: float = 0.0) -> None:
        self._config, self._rng = config, rng
        self._products = products if config.attention else 0.0
        self._convolutions = convolutions if config.convolution else 0.0
        self._output: tuple[int, int, int, int] | None = None  # of the step before: word, stride, tokens, channels

    def program(self, count: int, *, overlap: float = 0.9) -> MatrixProgram:
        program = MatrixProgram(self._config, random_words(self._config, self._rng))
        for _ in range(count):
            matmuls_open = int(self._rng.random() < overlap)
            early = self._rng.choice((0, 1, 2, *(ALL_TILES,) * 5))
            program.append(self.step(), matmuls_open=matmuls_open, early=early)
        return program

    def step(self) -> Step:
        for _ in range(_TRIES):
            try:
                step, output = self._kind()()
            except _DoesNotFitError:
                continue
            if not step.all_reads(self._config) & step.all_writes(self._config):
                self._output = output
                return step
        raise AssertionError(f"no step fits the memory in {_TRIES} tries")

    def _kind(self) -> Any:
        if self._rng.random() < self._convolutions:
            return self._convolution
        return self._product if self._rng.random() < self._products else self._matmul

    def _tokens(self) -> int:
        depth = self._config.accumulator_depth
        return int(self._rng.choice((1, 2, self._rng.randint(1, depth), depth)))

    def _channels(self, tile: int) -> int:
        return int(self._rng.choice((self._rng.randint(1, 3 * tile + 1), tile, 2 * tile, 3 * tile)))

    def _place(self, tokens: int, channels: int) -> tuple[int, int]:
        """Word and stride of a tensor in which whole tiles have room."""
        words = -(-channels // self._config.word_bytes)
        stride = words + self._rng.randrange(3)
        room = self._config.activation_depth - (tokens - 1) * stride - words
        if room < 1:
            raise _DoesNotFitError
        return self._rng.randrange(room), stride

    def _source(self, most_tokens: int) -> tuple[int, int, int, int]:
        before = self._output
        if before and before[2] <= most_tokens and self._rng.random() < _FOLLOWS:
            return before
        tokens, channels = self._tokens(), self._channels(self._config.rows)
        return *self._place(tokens, channels), tokens, channels

    def _matmul(self) -> tuple[Step, tuple[int, int, int, int]]:
        config = self._config
        source, input_stride, tokens, in_channels = self._source(config.accumulator_depth)
        out_channels = self._channels(config.cols)
        destination, output_stride = self._place(tokens, -(-out_channels // config.cols) * config.cols)
        step = matmul_step(
            random_layer_on(config, self._rng, out_channels, in_channels),
            config,
            tokens=tokens,
            source=source,
            input_stride=input_stride,
            destination=destination,
            output_stride=output_stride,
        )
        return step, (destination, output_stride, tokens, out_channels)

    def _convolution(self) -> tuple[Step, tuple[int, int, int, int]]:
        """A part of the output; an image is the output of the step before, or has gaps between rows and pixels."""
        config, rng = self._config, self._rng
        before = self._output
        if before and rng.random() < _FOLLOWS:
            word, stride, tokens, channels = before
            width = rng.choice([n for n in range(1, tokens + 1) if tokens % n == 0])
            height, gap = tokens // width, 0
        else:
            height, width, channels, gap = (*(rng.randint(1, 5) for _ in range(2)), self._channels(config.rows), 1)
            word, stride = self._place(height * (width + 1), channels)
        image = ImageTensor(
            word=word, height=height, width=width, channels=channels, stride=stride, row_stride=width * stride + gap
        )
        geometry = ConvolutionGeometry(
            kernel=(rng.randint(1, 3), rng.randint(1, 3)),
            stride=(rng.randint(1, 3), rng.randint(1, 3)),
            padding=tuple(rng.randint(0, 3) for _ in range(4)),
            dilation=(rng.randint(1, 2), rng.randint(1, 2)),
        )
        try:
            size = geometry.output_size(height, width)
        except ValueError:
            raise _DoesNotFitError from None
        band = rng.choice(split_bands(config, *size))
        out_channels = self._channels(config.cols)
        destination, output_stride = self._place(band.pixels, -(-out_channels // config.cols) * config.cols)
        choices = random_choices(config, rng, out_channels, channels)
        layer = random_convolution(np.random.default_rng(rng.getrandbits(32)), geometry=geometry, **choices)
        step = conv_step(layer, config, image, band, destination=destination, stride=output_stride)
        return step, (destination, output_stride, band.pixels, out_channels)

    def _product(self) -> tuple[Step, tuple[int, int, int, int]]:
        """The step before gave one of the two tensors, or neither of them."""
        config, rng = self._config, self._rng
        source, input_stride, tokens, k = self._source(config.accumulator_depth)
        transposed = rng.getrandbits(1)
        n = self._channels(config.cols)
        operand, operand_stride = self._place(n if transposed else k, k if transposed else n)
        if rng.random() < 0.5:
            operand, operand_stride, rows, channels = self._source(1 << 16)
            k, n = (channels, rows) if transposed else (rows, channels)
            source, input_stride = self._place(tokens, k)
        destination, output_stride = self._place(tokens, -(-n // config.cols) * config.cols)
        batch_last = rng.choice((0, 0, 1, 2))
        strides = {}
        for name, word, stride, rows, channels in (
            ("input", source, input_stride, tokens, k),
            ("operand", operand, operand_stride, n if transposed else k, k if transposed else n),
            ("output", destination, output_stride, tokens, -(-n // config.cols) * config.cols),
        ):
            room = config.activation_depth - word - (rows - 1) * stride - -(-channels // config.word_bytes)
            strides[f"{name}_batch_stride"] = rng.randint(0, room // max(1, batch_last)) if batch_last else 0
        step = product_step(
            config,
            in_channels=k,
            out_channels=n,
            tokens=tokens,
            source=source,
            input_stride=input_stride,
            operand=operand,
            operand_stride=operand_stride,
            transposed=transposed,
            destination=destination,
            output_stride=output_stride,
            batch_last=batch_last,
            **strides,
        )
        last = destination + batch_last * strides["output_batch_stride"]
        return step, (last, output_stride, tokens, n)


def random_layer_on(config: CoreConfig, rng: Any, out_channels: int, in_channels: int) -> IntegerLayer:
    """Any format that the core decodes."""
    choices = random_choices(config, rng, out_channels, in_channels)
    return random_layer(np.random.default_rng(rng.getrandbits(32)), **choices)


def random_choices(config: CoreConfig, rng: Any, out_channels: int, in_channels: int) -> dict[str, Any]:
    """Arguments of `random_layer` and `random_convolution`: any format that the core decodes."""
    weight_format = rng.choice(config.formats)
    dim = rng.choice([d for d in (2, 4, 8, 16, 32) if d <= config.max_vector_dim])
    sizes = [1 << i for i in range(1, 9) if (1 << i) <= config.max_codebook_size]
    bias_shift, shared_multiplier = rng.choice(RECORDS)
    return {
        "weight_format": weight_format,
        "out_channels": out_channels,
        "in_channels": in_channels,
        "codebook_size": rng.choice([s for s in sizes if s * max(1, dim // 4) <= config.codebook_depth]),
        "vector_dim": dim,
        "bias_shift": bias_shift,
        "shared_multiplier": shared_multiplier,
    }
