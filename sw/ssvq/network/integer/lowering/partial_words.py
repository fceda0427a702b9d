"""Products of matrices that begin within a memory word, beside channels of other matrices: heads of few channels.

The core reads and writes whole words from their first channel on. So a product takes the words of a matrix from the
first one to the matrix's last channel, and what is of other matrices is made zero in one operand, or is left out of the
outcome. No weight is touched, and all integers are those of products of the matrices alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ssvq.channel_choice import chosen
from ssvq.network.graph import Node
from ssvq.network.integer.integer_network import ProductStep, VectorStep, moved
from ssvq.network.integer.lowering.state import Lowering, refuse
from ssvq.network.integer.strided import Block, View, block_of
from ssvq.network.tensor_type import Shape
from ssvq.product import IntegerProduct
from ssvq.reference import ActivationScale
from ssvq.vector_operation import VectorOperation


@dataclass(frozen=True, kw_only=True)
class _Matrix:
    """A matrix in its words.

    Attributes:
        block: from the first channel of its first word to its own last channel.
        before: channels of the block in front of its own.
    """

    block: Block
    before: int

    @property
    def channel(self) -> int:
        """Its own first one in the stored tensor."""
        return self.block.channel + self.before


@dataclass(frozen=True, kw_only=True)
class _Section:
    """Words of the outcome that have channels of the same matrices.

    Attributes:
        start, stop: its channels.
        first, last: numbers of the matrices.
    """

    start: int
    stop: int
    first: int
    last: int

    @property
    def channels(self) -> int:
        """How many."""
        return self.stop - self.start

    def name(self, node: Node, number: int) -> str:
        """Of a matrix's product, by the first channel."""
        return f"{node.name}.{number}.{self.start}"

    def of(self, whole: Block) -> Block:
        """Its place in the outcome."""
        return replace(whole, channel=self.start, channels=self.channels)


def beside_each_other(name: str, shape: Shape) -> View:
    """Matrices (..., T, N) as they are stored: T activations that have the channels of each, one after the other."""
    *batch, tokens, channels = shape
    stored = View.whole(name, (tokens, *batch, channels))
    return stored.transposed((*range(1, len(batch) + 1), 0, len(batch) + 1))


def is_within_words(low: Lowering, view: View) -> bool:
    """Whether a matrix of a view, its last two axes, begins within a word."""
    channels = low.tensors[view.tensor].channels
    return any(matrix.offset % channels % low.word_bytes for matrix in view.matrices())


def products_of_columns(
    low: Lowering, node: Node, left: View, right: View, first: tuple[Block, tuple[int, int]]
) -> None:
    """Products whose operands both have the summed channels in words, Q K^T; the others in a word become 0 in the left.

    Args:
        low: where the steps go.
        node: what they are of.
        left: Q, (..., T, K).
        right: K, (..., N, K).
        first: where the first product is stored, and activations and channels to the next.
    """
    target, stride = first
    made = _Products(low, node)
    sources, operands = made.matrices(left), made.matrices(right)
    for number, (source, operand) in enumerate(zip(sources, operands, strict=True)):
        if source.before != operand.before:
            rule = f"both operands must begin at the same channel of a memory word of {low.word_bytes}"
            refuse(node, f"{rule}, not at {source.before} and {operand.before}")
        block = made.without(source, number)
        made.product(f"{node.name}.{number}", block, operand.block, moved(target, stride, number), transposed=True)


def products_of_rows(low: Lowering, node: Node, left: View, right: View) -> None:
    """Products whose right operand has the outcome's channels, A V: beside each other, as the operands are.

    Words that have channels of several are made of the products with each. Arguments are those of
    `products_of_columns`, right (..., K, N).
    """
    tokens, channels = node.type.shape[-2:]
    made = _Products(low, node)
    sources, operands = made.matrices(left), made.matrices(right)
    for source in sources:
        low.require_word(node, "its first operand", source.channel)
    _require_row(low, node, operands, channels)
    whole = low.store(node.name, tokens, len(operands) * channels, low.scales[node.name])
    low.views[node.name] = beside_each_other(node.name, node.type.shape)
    merged: dict[_Section, Block] = {}
    sections = _sections(len(operands), channels, low.word_bytes)
    for number, source in enumerate(sources):
        taken = [section for section in sections if section.first <= number <= section.last]
        targets = [made.target(section, number, whole) for section in taken]
        for section, target in zip(taken, targets, strict=True):
            first = operands[0].channel + section.start
            part = replace(operands[0].block, channel=first, channels=section.channels)
            made.product(section.name(node, number), source.block, part, target, transposed=False)
        for section, target in zip(taken, targets, strict=True):
            before = merged.get(section)
            merged[section] = target if before is None else made.merge(section, number, whole, (before, target))


class _Products:
    """Steps of a node.

    Attributes:
        low: where they go.
        node: what they are of.
    """

    def __init__(self, low: Lowering, node: Node) -> None:
        self.low, self.node = low, node
        self._choices: dict[tuple[int, int, bool], VectorOperation] = {}

    def matrices(self, view: View) -> list[_Matrix]:
        """Of an operand, for each place of the outcome's axes before the last two."""
        low, found = self.low, []
        for matrix in view.expanded((*self.node.type.shape[:-2], *view.shape[-2:])).matrices():
            block = block_of(matrix, low.tensors[view.tensor].channels)
            if block is None:
                rule = "must be activations of channels as they are stored"
                refuse(self.node, f"a matrix of its operand of shape {view.shape} {rule}")
            before = block.channel % low.word_bytes
            words = replace(block, channel=block.channel - before, channels=block.channels + before)
            found.append(_Matrix(block=words, before=before))
        return found

    def without(self, source: _Matrix, number: int) -> Block:
        """A left operand's words with zeros in front of its own channels, by a step where there is anything."""
        low, node, block = self.low, self.node, source.block
        if not source.before:
            return block
        name, scale = f"{node.name}.own.{number}", low.scales[node.operands[0]]
        own = low.store(name, block.tokens, block.channels, scale)
        operation = self._choice(source.before, block.channels, scale, has_second=False)
        low.steps.append(VectorStep(name=name, operation=operation, sources=(block,), target=own))
        return own

    def product(self, name: str, source: Block, operand: Block, target: Block, *, transposed: bool) -> None:
        """One product."""
        low, node = self.low, self.node
        made = IntegerProduct.from_scales(
            name=node.name,
            tokens=target.tokens,
            in_channels=source.channels,
            out_channels=target.channels,
            transposed=transposed,
            input_scale=low.scales[node.operands[0]],
            operand_scale=low.scales[node.operands[1]],
            output_scale=low.scales[node.name],
        )
        strides = dict.fromkeys(("source_stride", "operand_stride", "target_stride"), (0, 0))
        low.steps.append(ProductStep(name=name, product=made, source=source, operand=operand, target=target, **strides))

    def target(self, section: _Section, number: int, whole: Block) -> Block:
        """Where a matrix's product of a section is: in its place, or apart where there are several."""
        if section.first == section.last:
            return section.of(whole)
        name = section.name(self.node, number)
        return self.low.store(name, whole.tokens, section.channels, self.low.scales[self.node.name])

    def merge(self, section: _Section, number: int, whole: Block, parts: tuple[Block, Block]) -> Block:
        """A section whose channels from a matrix's first one on are the second part's, and those before the first's.

        What is behind the matrix's last channel is replaced in its turn.
        """
        low, node = self.low, self.node
        name, scale = f"{section.name(node, number)}.merge", low.scales[node.name]
        is_last = number == section.last
        target = section.of(whole) if is_last else low.store(name, whole.tokens, section.channels, scale)
        own = number * node.type.shape[-1] - section.start
        operation = self._choice(own, section.channels, scale, has_second=True)
        low.steps.append(VectorStep(name=name, operation=operation, sources=parts, target=target))
        return target

    def _choice(self, first: int, channels: int, scale: ActivationScale, *, has_second: bool) -> VectorOperation:
        """Channels from `first` on: of the only operand, or of the second, with those before of the first."""
        key = first, channels, has_second
        if key not in self._choices:
            own = np.arange(channels) >= first
            choices = (~own, own) if has_second else (own,)
            self._choices[key] = chosen(self.node.name, *choices, scale=scale)
        return self._choices[key]


def _require_row(low: Lowering, node: Node, operands: Sequence[_Matrix], channels: int) -> None:
    """Refuse matrices that are not beside each other from a word on, as their products are."""
    first = operands[0]
    low.require_word(node, "the first matrix of its second operand", first.channel)
    for number, operand in enumerate(operands):
        wanted = first.channel + number * channels
        if (operand.channel, operand.block.token) != (wanted, first.block.token):
            rule = f"matrix {number} of its second operand must be beside the others, from channel {wanted} on"
            refuse(node, f"{rule}, not from {operand.channel} on")


def _sections(count: int, channels: int, word_bytes: int) -> list[_Section]:
    """Of so many matrices beside each other, in order: runs of words, as long as the matrices are the same."""
    total = count * channels
    found: list[_Section] = []
    for start in range(0, total, word_bytes):
        stop = min(start + word_bytes, total)
        section = _Section(start=start, stop=stop, first=start // channels, last=(stop - 1) // channels)
        if found and (found[-1].first, found[-1].last) == (section.first, section.last):
            section = replace(section, start=found.pop().start)
        found.append(section)
    return found
