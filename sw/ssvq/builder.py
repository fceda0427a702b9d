"""Building programs step by step, with activations that stay where the caller places them."""

from __future__ import annotations

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import DRAM_ALIGNMENT, FormatError, Opcode, Residency, TableUse, pack_descriptor

from . import footprint
from .activation_tensor import ActivationTensor
from .integer_layer import IntegerLayer
from .layer_arithmetic import CompileError
from .product import IntegerProduct
from .program import Program
from .program_image import Entry, ProgramImage, Transfer
from .reference import ActivationScale
from .vector_image import Bytes, vector_fields
from .vector_operation import VectorOperation
from .weight_stream import parameter_fields, stream_format_of, tile_counts

__all__ = ["ActivationTensor", "ProgramBuilder"]


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
        config, job = self._config, name if name is not None else layer.name
        self._check_shape(job, "source", source, (source.tokens, layer.in_channels))
        self._check_shape(job, "target", target, (source.tokens, layer.out_channels))
        try:
            stream_format = stream_format_of(layer, config)
        except FormatError as error:
            raise CompileError(job, str(error)) from error
        k_tiles, n_tiles = tile_counts(layer, config)
        size = stream_format.total_bytes(k_tiles, n_tiles)
        if residency is not Residency.NONE:
            self._check_cache(job, cache_offset, size)
        values = {
            "opcode": Opcode.MATMUL,
            "dram_bytes": size,
            "weight_format": layer.weight_format,
            "index_width": stream_format.index_width,
            "vector_dim_log2": stream_format.vector_dim_log2,
            "last_rows": layer.in_channels - (k_tiles - 1) * config.rows,
            "zero_point": layer.output_scale.zero_point,
            "clamp_min": layer.clamp_min,
            "clamp_max": layer.clamp_max,
            "residency": residency,
            "cache_offset": cache_offset,
        }
        values |= parameter_fields(layer) | _matrix_fields(source, target, k_tiles, n_tiles)
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
        self._check_shape(job, "source", source, p.input_shape[1:])
        self._check_shape(job, "operand", operand, p.operand_shape[1:])
        self._check_shape(job, "target", target, (p.tokens, p.out_channels))
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
        }
        values |= _matrix_fields(source, target, k_tiles, n_tiles)
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
        """Apply a vector operation. `parameters` and `table` are the words from which on `parameter_words` and
        `table_words` are in the memory; with `table_kept`, the vector unit still has the table.
        """
        config, job = self._config, name if name is not None else operation.name
        if not config.vector:
            raise CompileError(job, f"core {config.name!r} was generated without the vector unit: set vector")
        shape = source.tokens, operation.channels
        self._check_shape(job, "source", source, shape)
        self._check_shape(job, "target", target, shape)
        if (second is not None) != operation.has_second:
            raise CompileError(job, f"the operation has {1 + operation.has_second} operands")
        values = vector_fields(operation) | {
            "source": source.word,
            "input_stride": source.stride,
            "destination": target.word,
            "output_stride": target.stride,
            "tokens": source.tokens,
        }
        if values["planes"]:
            values["parameters"] = parameters
        if operation.table is not None:
            values |= {"table_use": TableUse.KEPT} if table_kept else {"table": table}
        if second is not None:
            self._check_shape(job, "second", second, shape)
            values |= {"second_source": second.word, "second_stride": second.stride}
        depth = config.accumulator_depth
        if operation.opcode in (Opcode.LAYERNORM, Opcode.SOFTMAX) and source.tokens > depth:
            rule = f"tokens must be at most the core's accumulator_depth {depth}, not {source.tokens}: split them"
            raise CompileError(job, rule)
        self._check_descriptor(job, values)
        self._image.add([Entry(job=job, values=values)])

    def build(self) -> Program:
        """The program of all calls so far. Raises CompileError."""
        return self._image.build()

    def _check_shape(self, job: str, role: str, tensor: ActivationTensor, shape: tuple[int, int]) -> None:
        found, words = (tensor.tokens, tensor.channels), tensor.token_words(self._config)
        if found != shape or tensor.tokens < 1:
            rule = f"{role} must be {shape[0]} tokens of {shape[1]} channels, not {found[0]} of {found[1]}"
            raise CompileError(job, rule)
        if tensor.stride < words and tensor.tokens > 1:
            rule = f"{role} has a stride of {tensor.stride} words, its tokens have {words}"
            raise CompileError(job, rule)

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
        self._check_shape(name, role, tensor, (tensor.tokens, tensor.channels))
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

    def _add_matrix(self, job: str, values: dict[str, int], layer: IntegerLayer | None) -> None:
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


def _matrix_fields(source: ActivationTensor, target: ActivationTensor, k_tiles: int, n_tiles: int) -> dict[str, int]:
    return {
        "source": source.word,
        "destination": target.word,
        "tokens": source.tokens,
        "k_tiles": k_tiles,
        "n_tiles": n_tiles,
        "input_stride": source.stride,
        "output_stride": target.stride,
    }
