"""Functional coverage as data: what is counted, of what, and how it is found in a job.

A group is a cross of axes; each combination of values is a bin. Everything else is made from these: counting, the
report, exclusions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product

from ssvq_gen.config import CoreConfig
from ssvq_gen.format import STREAM_OPCODES, VECTOR_OPCODES, ErrorCode, Opcode, Residency

from ..behaviour import CHANNELS
from .bus_log import READ_CHANNELS
from .facts import (
    FLOWS,
    ONE,
    PART,
    WAITS,
    WHOLE,
    Done,
    Failed,
    channel_edge,
    column_edge,
    format_name,
    format_of,
    formats,
    input_edge,
    token_edge,
    transfer_edge,
)

Bin = tuple[str, ...]
"""A value of each axis of a group."""
_EDGES = (ONE, PART, WHOLE)
_PACES = (WAITS, FLOWS)
_OPCODES = tuple(opcode.name for opcode in Opcode)
_LAYERS = tuple(opcode.name for opcode in STREAM_OPCODES)
_VECTORS = tuple(opcode.name for opcode in VECTOR_OPCODES)
_ERRORS = tuple(code.name for code in ErrorCode if code)
_COUNTS = ("one", "several")


@dataclass(frozen=True, kw_only=True)
class Group:
    """A cross.

    Attributes:
        name: of its axes.
        doc: what a bin says.
        axes: their values.
        of_done: bins that a descriptor that has completed is in.
        of_failed: bins that an error is in.
    """

    name: str
    doc: str
    axes: tuple[tuple[str, ...], ...]
    of_done: Callable[[Done], Iterable[Bin]] = lambda done: ()
    of_failed: Callable[[Failed], Iterable[Bin]] = lambda failed: ()

    @property
    def bins(self) -> tuple[Bin, ...]:
        """All combinations, legal or not."""
        return tuple(product(*self.axes))


def groups(config: CoreConfig) -> tuple[Group, ...]:
    """All that is counted on a core."""
    return (*_of_layers(config), *_of_operations(config), *_of_channels(), *_of_errors())


def _of_layers(config: CoreConfig) -> tuple[Group, ...]:
    """Every format with every k and d, and what it meets."""
    names = tuple(format_name(*values) for values in formats(config))

    def group(name: str, doc: str, axis: tuple[str, ...], value: Callable[[Done], str]) -> Group:
        def of_done(done: Done) -> Iterable[Bin]:
            return [(format_of(done.fields), value(done))] if done.is_layer else []

        return Group(name=f"format x {name}", doc=doc, axes=(names, axis), of_done=of_done)

    def waiting(done: Done) -> Iterable[Bin]:
        return [(format_of(done.fields), *waits) for waits in done.data.items()] if done.is_layer else []

    def beside(done: Done) -> Iterable[Bin]:
        return [(format_of(done.fields), *waits) for waits in done.job.items()] if done.is_layer else []

    return (
        group("opcode", "a layer of the format was computed", _LAYERS, lambda done: done.opcode.name),
        group(
            "inputs", "how the last tile fills the array's rows", _EDGES, lambda done: input_edge(done.fields, config)
        ),
        group("outputs", "tiles of output channels", _COUNTS, lambda done: _COUNTS[done.fields["n_tiles"] > 1]),
        group(
            "tokens",
            "accumulators that activations fill",
            _EDGES,
            lambda done: token_edge(done.fields, config),
        ),
        group(
            "residency",
            "whether weights stay in the cache",
            tuple(residency.name for residency in Residency),
            lambda done: done.residency.name,
        ),
        Group(
            name="format x read channel",
            doc="whether its weights were waited for",
            axes=(names, READ_CHANNELS, _PACES),
            of_done=waiting,
        ),
        Group(
            name="format x channel of the job",
            doc="whether anything was waited for in the job that the layer was in",
            axes=(names, CHANNELS, _PACES),
            of_done=beside,
        ),
    )


def _of_operations(config: CoreConfig) -> tuple[Group, ...]:
    """Edges of what is no layer."""

    def vector(done: Done) -> Iterable[Bin]:
        if done.opcode not in VECTOR_OPCODES:
            return []
        return [(done.opcode.name, channel_edge(done.fields, config), _COUNTS[done.fields["tokens"] > 1])]

    def of_product(done: Done) -> Iterable[Bin]:
        if done.opcode is not Opcode.PRODUCT:
            return []
        return [tuple(side(done.fields, config) for side in (input_edge, column_edge, token_edge))]

    def transfer(done: Done) -> Iterable[Bin]:
        if done.opcode not in (Opcode.LOAD, Opcode.STORE):
            return []
        return [(done.opcode.name, transfer_edge(done.fields, config))]

    return (
        Group(
            name="vector operation x channels x tokens",
            doc="how channels fill the last word, and whether there are several activations",
            axes=(_VECTORS, _EDGES, _COUNTS),
            of_done=vector,
        ),
        Group(
            name="PRODUCT: inputs x columns x tokens",
            doc="how the last tile fills the array's rows and columns, and activations the accumulators",
            axes=(_EDGES, _EDGES, _EDGES),
            of_done=of_product,
        ),
        Group(
            name="transfer x length",
            doc="one word, some bursts of which the last is short, or whole bursts",
            axes=(("LOAD", "STORE"), _EDGES),
            of_done=transfer,
        ),
    )


def _of_channels() -> tuple[Group, ...]:
    """What waited for which channel."""
    return (
        Group(
            name="opcode x channel of its data",
            doc="whether a descriptor's own bursts were waited for",
            axes=(_OPCODES, CHANNELS, _PACES),
            of_done=lambda done: [(done.opcode.name, *waits) for waits in done.data.items()],
        ),
        Group(
            name="opcode x channel of the descriptor",
            doc="whether the descriptor itself was waited for",
            axes=(_OPCODES, READ_CHANNELS, _PACES),
            of_done=lambda done: [(done.opcode.name, *waits) for waits in done.fetch.items()],
        ),
    )


def _of_errors() -> tuple[Group, ...]:
    """Errors that the core reports."""
    return (
        Group(
            name="error x opcode",
            doc="the error names a descriptor of this opcode",
            axes=(_ERRORS, _OPCODES),
            of_failed=lambda failed: [(failed.code.name, failed.opcode.name)] if failed.opcode else [],
        ),
        Group(
            name="error x channel",
            doc="the core had to wait for the channel in the job that failed",
            axes=(_ERRORS, CHANNELS),
            of_failed=lambda failed: [
                (failed.code.name, channel) for channel, pace in failed.job.items() if pace == WAITS
            ],
        ),
    )
