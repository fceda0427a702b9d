"""Compile: integer layers and a core's configuration to a program. Pure: no files, no device.

Each layer becomes LOAD / MATMUL / STORE descriptors. Tokens are split into the fewest chunks that fit the
accumulators and the activation memory, because every chunk needs the weights again; within a chunk the output
channels are split over several MATMULs when the whole output does not fit, which needs nothing twice. Weight streams
that several chunks use stay in the weight cache where they fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import FormatError, Residency

from .builder import ActivationTensor, ProgramBuilder
from .integer_layer import IntegerLayer
from .layer_arithmetic import CompileError
from .program import DESCRIPTORS_MAX, Program
from .residency import plan_residency
from .tiling import Tiling, choose_tiling
from .weight_stream import stream_format_of, tile_counts

__all__ = ["CompileError", "Tiling", "choose_tiling", "compile_layer", "compile_layers"]


def compile_layer(config: CoreConfig, layer: IntegerLayer, tokens: int) -> Program:
    """A program of one layer, for inputs of `tokens` activations. Raises CompileError."""
    return compile_layers(config, [(layer, tokens)])


def compile_layers(config: CoreConfig, layers: Sequence[tuple[IntegerLayer, int]]) -> Program:
    """One program of independent layers, run in order; each entry is (layer, tokens), names must differ.

    Raises CompileError, which names the layer and the rule it breaks.
    """
    if not layers:
        raise CompileError("", "a program needs at least one layer")
    seen: set[str] = set()
    for layer, _ in layers:
        if layer.name in seen:
            raise CompileError(layer.name, "two layers of a program have the same name")
        seen.add(layer.name)
    tilings = [choose_tiling(config, layer, tokens) for layer, tokens in layers]
    descriptor_count = sum(tiling.descriptor_count for tiling in tilings)
    if descriptor_count > DESCRIPTORS_MAX:
        rule = f"the program needs {descriptor_count} descriptors, beyond {DESCRIPTORS_MAX}: compile fewer layers"
        raise CompileError(layers[-1][0].name, rule)
    split = [_LayerPlan(config, layer, tokens, tiling) for tiling, (layer, tokens) in zip(tilings, layers, strict=True)]
    placements = iter(plan_residency(config, [use for plan in split for use in plan.uses()]))
    builder = ProgramBuilder(config)
    for index, plan in enumerate(split):
        # Neighbours use opposite ends of the memory: the next one's input may come in while the last output goes out.
        plan.add_to(builder, config.activation_depth - plan.tiling.words if index % 2 else 0, placements)
    return builder.build()


class _LayerPlan:
    """A layer with its split, before it has a place in the activation memory and in the weight cache."""

    def __init__(self, config: CoreConfig, layer: IntegerLayer, tokens: int, tiling: Tiling) -> None:
        self.tiling = tiling
        self._config = config
        self._layer = layer
        self._tokens = tokens
        step = tiling.chunk_words * config.word_bytes
        self._starts = range(0, layer.out_channels, step)
        self._parts = [layer.select_channels(n, min(n + step, layer.out_channels)) for n in self._starts]

    def uses(self) -> list[tuple[tuple[str, int], int]]:
        """The weight stream of every MATMUL, in order, and its bytes."""
        try:
            sizes = [
                stream_format_of(part, self._config).total_bytes(*tile_counts(part, self._config))
                for part in self._parts
            ]
        except FormatError as error:
            raise CompileError(self._layer.name, str(error)) from error
        one_chunk = [((self._layer.name, part), size) for part, size in enumerate(sizes)]
        return one_chunk * self.tiling.chunk_count

    def add_to(self, builder: ProgramBuilder, base: int, placements: Iterator[tuple[Residency, int]]) -> None:
        """Add the layer's job, with its buffers from word `base`."""
        layer, tiling, name = self._layer, self.tiling, self._layer.name
        for step, chunk, part in tiling.steps():
            first = chunk * tiling.chunk_tokens
            tokens = min(tiling.chunk_tokens, self._tokens - first)
            number = chunk * tiling.matmul_count + part
            source = ActivationTensor.packed(
                self._config, word=base + tiling.input_word(chunk), tokens=tokens, channels=layer.in_channels
            )
            target = ActivationTensor.packed(
                self._config,
                word=base + tiling.output_word(number % tiling.output_buffers),
                tokens=tokens,
                channels=self._parts[part].out_channels,
            )
            if step == "load":
                builder.load(name, source, layer.input_scale, at=(first, 0))
            elif step == "store":
                builder.store(name, target, layer.output_scale, at=(first, self._starts[part]))
            else:
                residency, cache_offset = next(placements)
                builder.matmul(
                    self._parts[part], source=source, target=target, residency=residency, cache_offset=cache_offset
                )
