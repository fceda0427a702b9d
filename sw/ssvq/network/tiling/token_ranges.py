"""Steps for some activations of their target only: which of their sources these need, and the step for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ssvq.network.integer.integer_network import ImageStep, ProductStep, Step, VectorStep, moved
from ssvq.network.integer.strided import Block

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
        self.row = step.output_width * step.target.step if isinstance(step, ImageStep) else 1
        self._whole: list[tuple[str, Range]] = []
        self._shifted: list[tuple[str, int]] = []
        if isinstance(step, ImageStep) and self.is_split:
            start = step.target.token // self.row * self.row
            self.made = start, start + (step.rows[1] - step.rows[0]) * self.row
            return
        sources = [(source.tensor, _tokens(source)) for source in step.sources if source.step]
        self._whole = [(source.tensor, _tokens(source)) for source in step.sources if not source.step]
        self.made = _tokens(step.target)
        if isinstance(step, ProductStep):
            count = step.product.batch_count
            self.made = _matrices(step.target, step.target_stride, count)
            sources = [(step.source.tensor, _matrices(step.source, step.source_stride, count))]
            self._whole = [(step.operand.tensor, _matrices(step.operand, step.operand_stride, count))]
        if self.is_split:
            self._shifted = [(name, tokens[0] - self.made[0]) for name, tokens in sources]
        else:
            self._whole = [*sources, *self._whole]

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
        if isinstance(self.step, ImageStep) and self.is_split:
            return [(self.step.source.tensor, _pixels_taken(self.step, self._rows(made)))]
        start, stop = made
        return [(name, (start + offset, stop + offset)) for name, offset in self._shifted] + self._whole

    def part_of(self, made: Range, copies: Mapping[str, Copy], name: str) -> Step:
        """The step for a range of `part` alone, with tensors in their copies where they have one."""
        step = self.step
        if isinstance(step, ImageStep) and self.is_split:
            return self._part_of_image(step, made, copies, name)
        sources = [step.source] if isinstance(step, ProductStep) else list(step.sources)
        target = step.target
        if self.is_split:
            count, offset = made[1] - made[0], made[0] - self.made[0]
            sources = [replace(own, token=own.token + offset * own.step, tokens=count) for own in sources]
            target = replace(target, token=made[0], tokens=count)
        sources, target = [_renamed(block, copies) for block in sources], _renamed(target, copies)
        if isinstance(step, ProductStep):
            product, operand = replace(step.product, tokens=target.tokens), _renamed(step.operand, copies)
            return replace(step, name=name, product=product, source=sources[0], operand=operand, target=target)
        if isinstance(step, VectorStep):
            return replace(step, name=name, sources=tuple(sources), target=target)
        return replace(step, name=name, source=sources[0], target=target)

    def _part_of_image(self, step: ImageStep, made: Range, copies: Mapping[str, Copy], name: str) -> Step:
        ((_, pixels),) = self.taken(made)
        rows = self._rows(made)
        first = step.target.token + made[0] - self.made[0]
        target = replace(step.target, token=first, tokens=(rows[1] - rows[0]) * step.output_width)
        return replace(
            step,
            name=name,
            source=_renamed(replace(step.source, token=pixels[0], tokens=pixels[1] - pixels[0]), copies),
            first_row=step.first_row + (pixels[0] - step.source.token) // step.width,
            rows=rows,
            target=_renamed(target, copies),
        )

    def _rows(self, made: Range) -> Range:
        """Rows of the output that activations of the target are."""
        first = self.step.rows[0] if isinstance(self.step, ImageStep) else 0
        return first + (made[0] - self.made[0]) // self.row, first + (made[1] - self.made[0]) // self.row


def row_tokens(steps: Sequence[TokenRanges]) -> dict[str, int]:
    """Activations of a row of each tensor that is an image or goes into one or comes of one, 1 of the others."""
    found: dict[str, int] = {}
    for ranges in steps:
        step = ranges.step
        if isinstance(step, ImageStep):
            found[step.source.tensor] = step.width
            found[ranges.target] = ranges.row
        else:
            found[ranges.target] = found.get(step.sources[0].tensor, 1) if ranges.is_split else 1
    for ranges in reversed(steps):
        if ranges.is_split and not isinstance(ranges.step, ImageStep):
            source = ranges.step.sources[0].tensor
            found[source] = max(found.get(source, 1), found[ranges.target])
    return found


def _is_split(step: Step) -> bool:
    if isinstance(step, ImageStep):
        # between pixels of a row there may be others, as a transposed convolution makes them
        row = step.output_width * step.target.step
        return step.source.step == 1 and step.target.token % row < step.target.step
    if isinstance(step, ProductStep):
        alone = step.product.batch_count == 1 or step.source_stride[0] == step.target_stride[0] == 0
        return alone and step.source.step == step.target.step == 1
    first, *others = step.sources
    is_even = all(block.step == 1 and block.tokens == step.target.tokens for block in (first, step.target))
    return is_even and all(block.step in (0, 1) and block.tokens == step.target.tokens for block in others)


def _pixels_taken(step: ImageStep, rows: Range) -> Range:
    """Whole rows of the image that are in the windows of rows of the output, at least one."""
    geometry, (start, stop) = step.operation.geometry, rows
    top, stride = geometry.padding[0], geometry.stride[0]
    first = min(max(0, start * stride - top), step.height - 1)
    last = min(step.height, (stop - 1) * stride - top + (geometry.kernel[0] - 1) * geometry.dilation[0] + 1)
    base = step.source.token - step.first_row * step.width
    return base + first * step.width, base + max(first + 1, last) * step.width


def _tokens(block: Block) -> Range:
    return block.token, block.token + (block.tokens - 1) * block.step + 1


def _matrices(block: Block, stride: Range, count: int) -> Range:
    """Of all matrices of a batch."""
    return joined(_tokens(block), _tokens(moved(block, stride, count - 1)))


def _renamed(block: Block, copies: Mapping[str, Copy]) -> Block:
    """The block in the copy of its tensor."""
    copy = copies.get(block.tensor)
    return block if copy is None else replace(block, tensor=copy.name, token=block.token - copy.tokens[0])
