"""Functions of a layer's outputs part by part: the vector unit works while the array multiplies the next part."""

from __future__ import annotations

from dataclasses import replace

from ssvq.network.integer.integer_network import IntegerNetwork, LinearStep, Step, VectorStep
from ssvq.network.integer.strided import Block
from ssvq_gen.format import Opcode

PARTS = 4
"""Parts of a layer's outputs; the last one's function is what the array waits for."""


def by_columns(network: IntegerNetwork, *, word_bytes: int, parts: int = PARTS) -> IntegerNetwork:
    """The same network with every layer whose outputs go through a table split into parts of whole memory words.

    The order is layer 0, layer 1, table 0, layer 2, table 1, ...
    """
    steps: list[Step] = []
    rest = list(network.steps)
    while rest:
        split = _split(rest[0], rest[1], word_bytes, parts) if len(rest) > 1 else []
        steps += split or rest[:1]
        del rest[: 2 if split else 1]
    return replace(network, steps=tuple(steps))


def _split(layer: Step, table: Step, word_bytes: int, parts: int) -> list[Step]:
    """The steps of all parts; none when the second is not a table of all outputs of the first.

    A softmax has a table too, but needs all channels of an activation.
    """
    if not isinstance(layer, LinearStep) or not isinstance(table, VectorStep):
        return []
    operation = table.operation
    if operation.opcode is Opcode.SOFTMAX:
        return []
    if operation.table is None or table.sources != (layer.target,) or operation.multiplier.ndim:
        return []
    words = -(-layer.target.channels // word_bytes)
    size = -(-words // parts) * word_bytes
    starts = range(0, layer.target.channels, size)
    if len(starts) < 2:
        return []
    layers: list[Step] = []
    tables: list[Step] = []
    for number, start in enumerate(starts):
        stop = min(start + size, layer.target.channels)
        target, output = (_channels(block, start, stop) for block in (layer.target, table.target))
        weights = layer.layer.select_channels(start, stop)
        layers.append(replace(layer, name=f"{layer.name}.{number}", layer=weights, target=target))
        part = replace(operation, channels=stop - start)
        name = f"{table.name}.{number}"
        tables.append(replace(table, name=name, operation=part, sources=(target,), target=output))
    order = [layers[0]]
    for number, step in enumerate(tables):
        order += [*layers[number + 1 : number + 2], step]
    return order


def _channels(block: Block, start: int, stop: int) -> Block:
    return replace(block, channel=block.channel + start, channels=stop - start)
