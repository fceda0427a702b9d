"""Building programs step by step, with activations that stay where the caller places them."""

from __future__ import annotations

from dataclasses import replace

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import DRAM_ALIGNMENT, FormatError, Opcode, Residency, TableUse, pack_descriptor

from . import footprint, window
from .activation_tensor import ActivationTensor
from .channel_operation import ChannelOperation
from .convolution_geometry import Band
from .dram_tensor import DramTensor
from .image_tensor import ImageTensor
from .integer_convolution import IntegerConvolution
from .integer_layer import IntegerLayer
from .integer_weights import IntegerWeights
from .layer_arithmetic import CompileError
from .product import IntegerProduct
from .program import Program
from .program_image import Entry, ProgramImage, Transfer
from .reference import ActivationScale
from .tensor_checks import band_of, check_shape
from .vector_image import Bytes, parameter_words, vector_fields
from .vector_operation import VectorOperation
from .weight_stream import channel_tiles, parameter_fields, stream_format_of, tile_counts
from .window_operation import WindowOperation

__all__ = ["ActivationTensor", "ImageTensor", "ProgramBuilder"]


class ProgramBuilder:
    """Descriptors in the order of the calls; `build` places streams and tensors in DRAM and lets descriptors overlap.

    Every call belongs to a job: the one of the call before, when that has the same name, or a new one. A job's input
    is what its LOADs read and its output what its STOREs write, joined to one tensor each by `at`, the first token and
    channel of a part.

    Every method raises CompileError, which names the layer and the rule, and then has added nothing.
    """

    def __init__(self, config: CoreConfig) -> None:
        self._config = config
        self._image = ProgramImage(config)

    def load(
        self, name: str, target: ActivationTensor, scale: ActivationScale, *, at: tuple[int, int] = (0, 0)
    ) -> None:
        """Copy a tensor, or the part of it that begins at `at`, from DRAM."""
        self._transfer(Opcode.LOAD, name, target, scale, at)

    def store(
        self, name: str, source: ActivationTensor, scale: ActivationScale, *, at: tuple[int, int] = (0, 0)
    ) -> None:
        """Copy a tensor, or the part of it that begins at `at`, to DRAM."""
        self._transfer(Opcode.STORE, name, source, scale, at)

    def declare(self, tensor: DramTensor) -> None:
        """Give a tensor room in DRAM, where `fill` and `spill` move any run of its tokens, any number of times.

        An input is that of the job of its first `fill`, an output that of the job of its last `spill`.
        """
        self._image.declare(tensor)

    def fill(self, name: str, tensor: str, target: ActivationTensor, *, token: int = 0) -> None:
        """Copy tokens of a declared tensor, from `token` on, from DRAM to `target`."""
        self._move(Opcode.LOAD, name, tensor, target, token)

    def spill(self, name: str, tensor: str, source: ActivationTensor, *, token: int = 0) -> None:
        """Copy `source` to DRAM, as tokens of a declared tensor from `token` on."""
        self._move(Opcode.STORE, name, tensor, source, token)

    def matmul(
        self,
        layer: IntegerLayer,
        *,
        source: ActivationTensor,
        target: ActivationTensor,
        residency: Residency = Residency.NONE,
        cache_offset: int = 0,
        name: str | None = None,
    ) -> None:
        """Apply a layer. Calls with the same layer share one weight stream; `name` is that of the job.

        With `Residency.KEEP` the stream stays in the weight cache at `cache_offset`, and with REUSE it is taken from
        there; what is there is not checked.
        """
        job = name if name is not None else layer.name
        check_shape(self._config, job, "source", source, (source.tokens, layer.in_channels))
        check_shape(self._config, job, "target", target, (source.tokens, layer.out_channels))
        values = self._stream_fields(job, layer, residency, cache_offset)
        values |= {"opcode": Opcode.MATMUL, **_input_fields(source), **_output_fields(target)}
        self._add_matrix(job, values, None if residency is Residency.REUSE else layer)

    def convolution(
        self,
        layer: IntegerConvolution,
        *,
        source: ImageTensor,
        target: ImageTensor,
        band: Band | None = None,
        residency: Residency = Residency.NONE,
        cache_offset: int = 0,
        name: str | None = None,
    ) -> None:
        """Apply a convolution to an image, or compute a band of its output only; see `matmul`.

        `source` and `target` are the whole images. `split_bands` gives bands that the accumulators hold.
        """
        config, job = self._config, name if name is not None else layer.name
        if not config.convolution:
            raise CompileError(job, f"core {config.name!r} was generated without convolutions: set convolution")
        images = (source, layer.in_channels), (target, layer.out_channels)
        part, output = band_of(self._config, job, layer.geometry, *images, band)
        values = self._stream_fields(job, layer, residency, cache_offset)
        values |= {
            "opcode": Opcode.CONV,
            "channel_tiles": channel_tiles(layer, config),
            "padding_value": layer.padding_value,
            **window.fields(layer.geometry, source, part),
            **_output_fields(output),
        }
        self._add_matrix(job, values, None if residency is Residency.REUSE else layer)

    def product(
        self,
        product: IntegerProduct,
        *,
        source: ActivationTensor,
        operand: ActivationTensor,
        target: ActivationTensor,
        source_batch_stride: int = 0,
        operand_batch_stride: int = 0,
        target_batch_stride: int = 0,
        name: str | None = None,
    ) -> None:
        """Multiply activations by activations. The tensors are those of the first product of the batch."""
        p, config, job = product, self._config, name if name is not None else product.name
        if not config.attention:
            raise CompileError(job, f"core {config.name!r} was generated without products: set attention")
        check_shape(self._config, job, "source", source, p.input_shape[1:])
        check_shape(self._config, job, "operand", operand, p.operand_shape[1:])
        check_shape(self._config, job, "target", target, (p.tokens, p.out_channels))
        k_tiles, n_tiles = -(-p.in_channels // config.rows), -(-p.out_channels // config.cols)
        values = {
            "opcode": Opcode.PRODUCT,
            "last_rows": p.in_channels - (k_tiles - 1) * config.rows,
            "last_columns": p.out_channels - (n_tiles - 1) * config.cols,
            "transposed": int(p.transposed),
            "operand": operand.word,
            "operand_stride": operand.stride,
            "batch_last": p.batch_count - 1,
            "input_batch_stride": source_batch_stride,
            "operand_batch_stride": operand_batch_stride,
            "output_batch_stride": target_batch_stride,
            "mantissa": p.mantissa,
            "exponent": p.exponent,
            "zero_point": p.output_scale.zero_point,
            "clamp_min": p.clamp_min,
            "clamp_max": p.clamp_max,
            "k_tiles": k_tiles,
            "n_tiles": n_tiles,
            **_input_fields(source),
            **_output_fields(target),
        }
        self._add_matrix(job, values, None)

    def constant(self, name: str, words: Bytes, *, word: int) -> None:
        """Copy words that are part of the program, uint8 (count, `word_bytes`), to the memory from `word` on."""
        values = {"opcode": Opcode.LOAD, "dram_bytes": words.size, "destination": word}
        self._check_descriptor(name, values)
        self._image.add([Entry(job=name, values=values, constant=words.tobytes())])

    def vector(
        self,
        operation: VectorOperation,
        *,
        source: ActivationTensor,
        second: ActivationTensor | None = None,
        target: ActivationTensor,
        parameters: int = 0,
        table: int = 0,
        table_kept: bool = False,
        name: str | None = None,
    ) -> None:
        """Apply a vector operation. A `second` tensor with a stride of 0 is one activation for all.

        `parameters` and `table` are the words from which on `parameter_words` and `table_words` are in the memory; with
        `table_kept`, the vector unit still has the table.
        """
        config, job = self._config, name if name is not None else operation.name
        self._check_vector(job)
        shape = source.tokens, operation.channels
        check_shape(self._config, job, "source", source, shape)
        check_shape(self._config, job, "target", target, shape)
        if (second is not None) != operation.has_second:
            raise CompileError(job, f"the operation has {1 + operation.has_second} operands")
        values = vector_fields(operation) | {
            "source": source.word,
            "input_stride": source.stride,
            "destination": target.word,
            "output_stride": target.stride,
            "tokens": source.tokens,
        }
        values |= _places(operation, config, parameters, table, table_kept=table_kept)
        if second is not None:
            alone = replace(second, stride=second.token_words(config)) if second.stride == 0 else second
            check_shape(self._config, job, "second", alone, shape)
            values |= {"second_source": second.word, "second_stride": second.stride}
        depth = config.accumulator_depth
        if operation.opcode in (Opcode.LAYERNORM, Opcode.SOFTMAX) and source.tokens > depth:
            rule = f"tokens must be at most the core's accumulator_depth {depth}, not {source.tokens}: split them"
            raise CompileError(job, rule)
        self._check_descriptor(job, values)
        self._image.add([Entry(job=job, values=values)])

    def windows(
        self,
        operation: WindowOperation,
        *,
        source: ImageTensor,
        target: ImageTensor,
        band: Band | None = None,
        parameters: int = 0,
        table: int = 0,
        table_kept: bool = False,
        name: str | None = None,
    ) -> None:
        """Pool an image or apply a depthwise convolution, or compute a band of its output only; see `vector`.

        `source` and `target` are the whole images.
        """
        config, job = self._config, name if name is not None else operation.name
        self._check_vector(job)
        if operation.opcode is Opcode.DEPTHWISE and not config.depthwise_taps:
            rule = f"core {config.name!r} was generated without depthwise convolutions: set depthwise_taps"
            raise CompileError(job, rule)
        geometry, channels = operation.geometry, operation.channels
        part, output = band_of(self._config, job, geometry, (source, channels), (target, channels), band)
        geometry, image = window.folded(geometry, source)
        values = vector_fields(operation) | {
            **window.fields(geometry, image, part),
            "kernel_height": geometry.kernel[0],
            **_output_fields(output),
            **_places(operation, config, parameters, table, table_kept=table_kept),
        }
        if operation.opcode is Opcode.DEPTHWISE:
            values["extra_taps"] = operation.extra_taps(config)
        self._check_descriptor(job, values)
        self._image.add([Entry(job=job, values=values)])

    def build(self) -> Program:
        """The program of all calls so far. Raises CompileError."""
        return self._image.build()

    def _check_vector(self, job: str) -> None:
        if not self._config.vector:
            raise CompileError(job, f"core {self._config.name!r} was generated without the vector unit: set vector")

    def _stream_fields(
        self, job: str, layer: IntegerWeights, residency: Residency, cache_offset: int
    ) -> dict[str, int]:
        """Descriptor fields of the weights and of what is made of the sums."""
        config = self._config
        try:
            stream_format = stream_format_of(layer, config)
        except FormatError as error:
            raise CompileError(job, str(error)) from error
        k_tiles, n_tiles = tile_counts(layer, config)
        size = stream_format.total_bytes(k_tiles, n_tiles)
        if residency is not Residency.NONE:
            self._check_cache(job, cache_offset, size)
        return {
            "dram_bytes": size,
            "weight_format": layer.weight_format,
            "index_width": stream_format.index_width,
            "vector_dim_log2": stream_format.vector_dim_log2,
            "k_tiles": k_tiles,
            "n_tiles": n_tiles,
            "last_rows": layer.in_channels - (channel_tiles(layer, config) - 1) * config.rows,
            "zero_point": layer.output_scale.zero_point,
            "clamp_min": layer.clamp_min,
            "clamp_max": layer.clamp_max,
            "residency": residency,
            "cache_offset": cache_offset,
            **parameter_fields(layer),
        }

    def _check_cache(self, job: str, offset: int, size: int) -> None:
        room = self._config.weight_cache_bytes
        if offset % DRAM_ALIGNMENT or offset + size > room:
            rule = f"{size} bytes at {offset} are not aligned or not within the weight cache of {room} bytes"
            raise CompileError(job, rule)

    def _transfer(
        self, opcode: Opcode, name: str, tensor: ActivationTensor, scale: ActivationScale, at: tuple[int, int]
    ) -> None:
        """One descriptor when the tokens follow each other without gaps, otherwise one a token."""
        role = "target" if opcode is Opcode.LOAD else "source"
        check_shape(self._config, name, role, tensor, (tensor.tokens, tensor.channels))
        words, count = tensor.token_words(self._config), tensor.tokens
        runs = 1 if tensor.stride == words else count
        entries = []
        for start in range(0, count, count // runs):
            run = tensor.select_tokens(start, start + count // runs)
            values = {
                "opcode": opcode,
                "dram_bytes": run.tokens * words * self._config.word_bytes,
                "destination" if opcode is Opcode.LOAD else "source": run.word,
            }
            tokens = at[0] + start, at[0] + start + run.tokens
            transfer = Transfer(tokens=tokens, channels=(at[1], at[1] + run.channels), scale=scale)
            self._check_descriptor(name, values)
            entries.append(Entry(job=name, values=values, transfer=transfer))
        self._image.add(entries)

    def _move(self, opcode: Opcode, name: str, tensor: str, part: ActivationTensor, token: int) -> None:
        whole, config = self._image.tensor(tensor), self._config
        role = "target" if opcode is Opcode.LOAD else "source"
        check_shape(self._config, name, role, part, (part.tokens, whole.channels))
        if part.stride != part.token_words(config) and part.tokens > 1:
            raise CompileError(name, f"{role} must have no gaps between its tokens")
        if not 0 <= token <= token + part.tokens <= whole.tokens:
            rule = f"{tensor} has {whole.tokens} tokens, not {token} to {token + part.tokens - 1}"
            raise CompileError(name, rule)
        if token % whole.aligned_tokens(config):
            rule = f"tokens of {tensor} must begin with a multiple of {whole.aligned_tokens(config)}, not {token}"
            raise CompileError(name, rule)
        values = {
            "opcode": opcode,
            "dram_bytes": part.tokens * whole.token_bytes(config),
            "destination" if opcode is Opcode.LOAD else "source": part.word,
        }
        self._check_descriptor(name, values)
        self._image.add([Entry(job=name, values=values, place=(tensor, token))])

    def _add_matrix(self, job: str, values: dict[str, int], layer: IntegerWeights | None) -> None:
        depth = self._config.accumulator_depth
        if values["tokens"] > depth:
            rule = f"tokens must be at most the core's accumulator_depth {depth}, not {values['tokens']}: split them"
            raise CompileError(job, rule)
        self._check_descriptor(job, values)
        self._image.add([Entry(job=job, values=values, layer=layer)])

    def _check_descriptor(self, job: str, values: dict[str, int]) -> None:
        """Raise CompileError for fields out of range, words outside the memory, or an output over its own input."""
        try:
            pack_descriptor(values)
        except FormatError as error:
            raise CompileError(job, str(error)) from error
        reads, writes = footprint.reads(self._config, values), footprint.writes(self._config, values)
        last = max(int(words.max(initial=0)) for words in (reads, writes))
        if last >= self._config.activation_depth:
            rule = f"it reaches word {last}, the activation memory has {self._config.activation_depth}"
            raise CompileError(job, rule)
        if footprint.common(reads, writes):
            raise CompileError(job, "its target overlaps what it reads")


def _input_fields(source: ActivationTensor) -> dict[str, int]:
    return {"source": source.word, "tokens": source.tokens, "input_stride": source.stride}


def _places(
    operation: ChannelOperation, config: CoreConfig, parameters: int, table: int, *, table_kept: bool
) -> dict[str, int]:
    """Fields of the words with an operation's parameters and table, as far as it has any."""
    values = {"parameters": parameters} if len(parameter_words(operation, config)) else {}
    if operation.table is not None:
        values |= {"table_use": TableUse.KEPT} if table_kept else {"table": table}
    return values


def _output_fields(target: ActivationTensor) -> dict[str, int]:
    return {"destination": target.word, "output_stride": target.stride}
