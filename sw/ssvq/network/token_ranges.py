"""Steps for some activations of their target only: which of their sources these need, and the step for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ssvq.network.integer_network import ImageStep, ProductStep, Step, moved
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


def hull(ranges: Iterable[Range]) -> Range:
    """The least range with all of them."""
    starts, stops = zip(*ranges, strict=True)
    return min(starts), max(stops)


def made_by(step: Step) -> Range:
    """What a step makes of its target's tensor."""
    if isinstance(step, ProductStep):
        return hull(_matrices(step.target, step.target_stride, step.product.batch_count))
    return _tokens(step.target)


def part_made(step: Step, wanted: Range) -> Range | None:
    """What a step makes in order to make wanted activations; None when it makes none of them.

    An image is made in whole rows, and what cannot be split as a whole.
    """
    start, stop = made_by(step)
    first, last = max(start, wanted[0]), min(stop, wanted[1])
    if first >= last:
        return None
    if not _is_split(step):
        return start, stop
    width = step.output_width if isinstance(step, ImageStep) else 1
    return start + (first - start) // width * width, start - (start - last) // width * width


def part_taken(step: Step, made: Range) -> list[tuple[str, Range]]:
    """Tensors and their activations that a step takes in order to make a range of `part_made`, one for each operand."""
    if isinstance(step, ProductStep):
        count = step.product.batch_count
        operand = hull(_matrices(step.operand, step.operand_stride, count))
        if _is_split(step):
            return [(step.source.tensor, _shifted(step.source, step.target, made)), (step.operand.tensor, operand)]
        inputs = hull(_matrices(step.source, step.source_stride, count))
        return [(step.source.tensor, inputs), (step.operand.tensor, operand)]
    if isinstance(step, ImageStep):
        return [(step.source.tensor, _pixels_taken(step, made))]
    if _is_split(step):
        return [(source.tensor, _shifted(source, step.target, made)) for source in step.sources]
    return [(source.tensor, _tokens(source)) for source in step.sources]


def part_of(step: Step, made: Range, copies: Mapping[str, Copy], name: str) -> Step:
    """The step that makes a range of `part_made` alone, with the tensors in their copies where they have one."""
    taken = [tokens for _, tokens in part_taken(step, made)]
    if not _is_split(step):
        taken, made = [], made_by(step)
    target = _placed(step.target, made, copies) if taken else _renamed(step.target, copies)
    if isinstance(step, ProductStep):
        source = _placed(step.source, taken[0], copies) if taken else _renamed(step.source, copies)
        product = replace(step.product, tokens=source.tokens)
        operand = _renamed(step.operand, copies)
        return replace(step, name=name, product=product, source=source, operand=operand, target=target)
    sources = [_renamed(source, copies) for source in step.sources]
    if taken:
        sources = [_placed(source, tokens, copies) for source, tokens in zip(step.sources, taken, strict=True)]
    if isinstance(step, ImageStep):
        first_row = step.first_row + (taken[0][0] - step.source.token) // step.width
        rows = _rows(step, made)
        return replace(step, name=name, source=sources[0], first_row=first_row, rows=rows, target=target)
    if hasattr(step, "operation"):
        return replace(step, name=name, sources=tuple(sources), target=target)
    return replace(step, name=name, source=sources[0], target=target)


def row_tokens(steps: Iterable[Step]) -> dict[str, int]:
    """Activations of a row of each tensor that is an image, 1 of the others."""
    found: dict[str, int] = {}
    for step in steps:
        if isinstance(step, ImageStep):
            found.setdefault(step.source.tensor, step.width)
            found[step.target.tensor] = step.output_width
        else:
            found[step.target.tensor] = found.get(step.sources[0].tensor, 1) if _is_split(step) else 1
    return found


def _is_split(step: Step) -> bool:
    """An activation of its target needs those of its sources that are at the same place."""
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


def _shifted(block: Block, target: Block, made: Range) -> Range:
    return made[0] + block.token - target.token, made[1] + block.token - target.token


def _tokens(block: Block) -> Range:
    return block.token, block.token + (block.tokens - 1) * block.step + 1


def _matrices(block: Block, stride: Range, count: int) -> list[Range]:
    return [_tokens(moved(block, stride, number)) for number in (0, count - 1)]


def _renamed(block: Block, copies: Mapping[str, Copy]) -> Block:
    """The block in the copy of its tensor."""
    copy = copies.get(block.tensor)
    return block if copy is None else replace(block, tensor=copy.name, token=block.token - copy.tokens[0])


def _placed(block: Block, tokens: Range, copies: Mapping[str, Copy]) -> Block:
    """Activations of the block's tensor, as the block has them."""
    return _renamed(replace(block, token=tokens[0], tokens=tokens[1] - tokens[0]), copies)
