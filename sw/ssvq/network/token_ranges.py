"""Steps for some activations of their target only: which of their sources these need, and the step for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ssvq.network.integer_network import ImageStep, LinearStep, ProductStep, Step, TransferStep, moved
from ssvq.network.strided import Block

Range = tuple[int, int]
"""Activations of a stored tensor, start and stop."""


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A stored tensor that has some activations of another one.

    Attributes:
        name: of its own.
        tensor: name of the other one.
        tokens: of the other one.
    """

    name: str
    tensor: str
    tokens: Range


def joined(first: Range, second: Range) -> Range:
    """The least range with both."""
    return min(first[0], second[0]), max(first[1], second[1])


class TokenRanges:
    """What parts of a step make and take.

    Attributes:
        step: as a whole.
        target: name of the tensor that it writes.
        names: of all tensors that it reads or writes.
        made: activations of its target's tensor.
        row: activations that are only made together: those of a row of an image.
        is_split: an activation needs those of the sources at the same place, or those in its windows. If not, the step
            is done as a whole.
    """

    def __init__(self, step: Step) -> None:
        self.step, self.target = step, step.target.tensor
        self.names = tuple(dict.fromkeys(block.tensor for block in (*step.sources, step.target)))
        self.is_split = _is_split(step)
        self.row = step.output_width if isinstance(step, ImageStep) else 1
        if isinstance(step, ProductStep):
            count = step.product.batch_count
            self.made = _matrices(step.target, step.target_stride, count)
            inputs = _matrices(step.source, step.source_stride, count)
            operand = step.operand.tensor, _matrices(step.operand, step.operand_stride, count)
            self._whole = [operand] if self.is_split else [(step.source.tensor, inputs), operand]
            sources = [step.source]
        else:
            self.made = _tokens(step.target)
            sources = list(step.sources)
            self._whole = [] if self.is_split else [(source.tensor, _tokens(source)) for source in sources]
        offsets = [(source.tensor, source.token - step.target.token) for source in sources]
        self._shifted = offsets if self.is_split and not isinstance(step, ImageStep) else []

    def part(self, wanted: Range) -> Range | None:
        """What it makes in order to make wanted activations, whole rows; None when it makes none of them."""
        start, stop = self.made
        first, last = max(start, wanted[0]), min(stop, wanted[1])
        if first >= last:
            return None
        if not self.is_split:
            return self.made
        row = self.row
        return start + (first - start) // row * row, start - (start - last) // row * row

    def taken(self, made: Range) -> list[tuple[str, Range]]:
        """Tensors and their activations that it takes to make a range of `part`: of sources first, then operands."""
        if isinstance(self.step, ImageStep):
            return [(self.step.source.tensor, _pixels_taken(self.step, made))]
        start, stop = made
        return [(name, (start + offset, stop + offset)) for name, offset in self._shifted] + self._whole

    def part_of(self, made: Range, copies: Mapping[str, Copy], name: str) -> Step:
        """The step for a range of `part` alone, with tensors in their copies where they have one."""
        step = self.step
        if self.is_split:
            taken = [tokens for _, tokens in self.taken(made)]
            sources = [_placed(block, own, copies) for block, own in zip(_split_sources(step), taken, strict=False)]
            target = _placed(step.target, made, copies)
        else:
            sources, target = [_renamed(block, copies) for block in _split_sources(step)], _renamed(step.target, copies)
        if isinstance(step, ProductStep):
            product, operand = replace(step.product, tokens=sources[0].tokens), _renamed(step.operand, copies)
            return replace(step, name=name, product=product, source=sources[0], operand=operand, target=target)
        if isinstance(step, ImageStep):
            first_row = step.first_row + (taken[0][0] - step.source.token) // step.width
            rows = _rows(step, made)
            return replace(step, name=name, source=sources[0], first_row=first_row, rows=rows, target=target)
        if isinstance(step, LinearStep | TransferStep):
            return replace(step, name=name, source=sources[0], target=target)
        return replace(step, name=name, sources=tuple(sources), target=target)


def row_tokens(steps: Sequence[TokenRanges]) -> dict[str, int]:
    """Activations of a row of each tensor that is an image or goes into one or comes of one, 1 of the others."""
    found: dict[str, int] = {}
    for ranges in steps:
        step = ranges.step
        if isinstance(step, ImageStep):
            found[step.source.tensor] = step.width
            found[ranges.target] = step.output_width
        else:
            found[ranges.target] = found.get(step.sources[0].tensor, 1) if ranges.is_split else 1
    for ranges in reversed(steps):
        if ranges.is_split and not isinstance(ranges.step, ImageStep):
            source = ranges.step.sources[0].tensor
            found[source] = max(found.get(source, 1), found[ranges.target])
    return found


def _split_sources(step: Step) -> tuple[Block, ...]:
    """The sources of a product are its inputs, without its operand."""
    return (step.source,) if isinstance(step, ProductStep) else step.sources


def _is_split(step: Step) -> bool:
    if isinstance(step, ImageStep):
        return True
    if isinstance(step, ProductStep):
        alone = step.product.batch_count == 1 or step.source_stride[0] == step.target_stride[0] == 0
        return alone and step.source.step == step.target.step == 1
    blocks = (*step.sources, step.target)
    return all(block.step == 1 and block.tokens == step.target.tokens for block in blocks)


def _rows(step: ImageStep, made: Range) -> Range:
    """Rows of the output that activations of the target are."""
    first, width = step.rows[0], step.output_width
    return first + (made[0] - step.target.token) // width, first + (made[1] - step.target.token) // width


def _pixels_taken(step: ImageStep, made: Range) -> Range:
    """Whole rows of the image that are in the windows, at least one."""
    geometry, (start, stop) = step.operation.geometry, _rows(step, made)
    top, stride = geometry.padding[0], geometry.stride[0]
    first = min(max(0, start * stride - top), step.height - 1)
    last = min(step.height, (stop - 1) * stride - top + (geometry.kernel[0] - 1) * geometry.dilation[0] + 1)
    rows = first - step.first_row, max(first + 1, last) - step.first_row
    return step.source.token + rows[0] * step.width, step.source.token + rows[1] * step.width


def _tokens(block: Block) -> Range:
    return block.token, block.token + (block.tokens - 1) * block.step + 1


def _matrices(block: Block, stride: Range, count: int) -> Range:
    """Of all matrices of a batch."""
    return joined(_tokens(block), _tokens(moved(block, stride, count - 1)))


def _renamed(block: Block, copies: Mapping[str, Copy]) -> Block:
    """The block in the copy of its tensor."""
    copy = copies.get(block.tensor)
    return block if copy is None else replace(block, tensor=copy.name, token=block.token - copy.tokens[0])


def _placed(block: Block, tokens: Range, copies: Mapping[str, Copy]) -> Block:
    """Activations of the block's tensor, as the block has them."""
    return _renamed(replace(block, token=tokens[0], tokens=tokens[1] - tokens[0]), copies)
