"""Attention head by head, so that the softmax of one head runs while the next heads are multiplied."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from ssvq.network.integer.integer_network import IntegerNetwork, ProductStep, Step, StoredTensor, VectorStep, moved
from ssvq.network.integer.strided import Block

_PRODUCTS = 2
"""Of scores, and of the softmax's shares with values."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Attention:
    """Stacked products, what is done with all of them, and products of the outcome.

    Attributes:
        masks: of each product; none without a mask.
    """

    scores: ProductStep
    masks: tuple[VectorStep, ...]
    softmax: VectorStep
    values: ProductStep

    @property
    def count(self) -> int:
        """Heads."""
        return self.scores.product.batch_count

    @property
    def between(self) -> tuple[str, ...]:
        """Tensors that nothing but the attention may take."""
        masked = (step.target.tensor for step in (*self.masks, self.softmax))
        return tuple(dict.fromkeys((self.scores.target.tensor, *masked)))


def by_heads(network: IntegerNetwork) -> IntegerNetwork:
    """The same network with every scores, softmax, values in their steps split into those of each head.

    They are in the order scores 0, scores 1, softmax 0, then for each head h: values h, scores h + 2, softmax h + 1.
    So four matrices of a head are stored at a time, in place of twice as many as there are heads. A mask is a step in
    front of each softmax, and has one or two matrices more.
    """
    tensors = dict(network.tensors)
    taken = {view.tensor for view in network.outputs.values()}
    steps: list[Step] = []
    rest = list(network.steps)
    while rest:
        attention = _attention(rest, tensors)
        length = 1 if attention is None else _PRODUCTS + len(attention.masks) + 1
        later = taken | {block.tensor for step in rest[length:] for block in step.sources}
        heads = [] if attention is None else _heads(attention, tensors, later)
        steps += heads or rest[:1]
        del rest[: length if heads else 1]
    used = {block.tensor for step in steps for block in (*step.sources, step.target)}
    kept = used | {view.tensor for view in network.outputs.values()} | {own.tensor for own in network.inputs}
    tensors = {name: tensor for name, tensor in tensors.items() if name in kept}
    return replace(network, tensors=tensors, steps=tuple(steps))


def _heads(attention: _Attention, tensors: dict[str, StoredTensor], later: Collection[str]) -> list[Step]:
    """The steps of all heads, with their tensors added; none where something else takes what is between.

    `later` are the tensors that what follows takes.
    """
    count, between = attention.count, attention.between
    if set(between) & set(later) or any(f"{name}.{head}" in tensors for name in between for head in range(count)):
        return []
    parts = [_of_head(attention, head, tensors) for head in range(count)]
    order: list[Step] = [parts[0][0], *(part[0] for part in parts[1:2]), *parts[0][1:-1]]
    for head, part in enumerate(parts):
        order.append(part[-1])
        order += [later[0] for later in parts[head + 2 : head + 3]]
        order += [step for later in parts[head + 1 : head + 2] for step in later[1:-1]]
    return order


def _of_head(attention: _Attention, head: int, tensors: dict[str, StoredTensor]) -> list[Step]:
    """The steps of a head, with the tensors between them added."""
    blocks = []
    for tensor in attention.between:
        whole = tensors[tensor]
        tokens, name = whole.tokens // attention.count, f"{tensor}.{head}"
        tensors[name] = replace(whole, name=name, tokens=tokens)
        blocks.append(Block(tensor=name, tokens=tokens, channels=whole.channels))
    steps: list[Step] = [_of_batch(attention.scores, head, target=blocks[0])]
    for mask in attention.masks[head : head + 1]:
        steps.append(replace(mask, sources=(blocks[0], *mask.sources[1:]), target=blocks[1]))
    softmax = attention.softmax
    steps.append(replace(softmax, name=f"{softmax.name}.{head}", sources=(blocks[-2],), target=blocks[-1]))
    steps.append(_of_batch(attention.values, head, source=blocks[-1]))
    return steps


def _attention(steps: Sequence[Step], tensors: Mapping[str, StoredTensor]) -> _Attention | None:
    """The attention that steps begin with; None when these are others."""
    scores = steps[0]
    if not isinstance(scores, ProductStep) or scores.product.batch_count < 2:
        return None
    count, tokens = scores.product.batch_count, scores.target.tokens
    masks = _masks(scores, steps[1 : 1 + count])
    softmax, values = (*steps[1 + len(masks) : 3 + len(masks)], None, None)[:2]
    if not isinstance(softmax, VectorStep) or not isinstance(values, ProductStep):
        return None
    whole = tensors[softmax.target.tensor]
    follow_each_other = (
        count == values.product.batch_count
        and scores.target_stride == (tokens, 0) == values.source_stride
        and softmax.sources == (_all_of(tensors[(masks[0] if masks else scores).target.tensor]),)
        and softmax.target == _all_of(whole)
        and (values.source.tensor, values.source.channels) == (whole.name, whole.channels)
        and values.source.tokens == tokens
    )
    return _Attention(scores=scores, masks=masks, softmax=softmax, values=values) if follow_each_other else None


def _masks(scores: ProductStep, steps: Sequence[Step]) -> tuple[VectorStep, ...]:
    """The steps that take one product each, in their order, and another operand; none where not all are such steps."""
    masks = tuple(step for step in steps if isinstance(step, VectorStep) and len(step.sources) == 2)
    products = [moved(scores.target, scores.target_stride, head) for head in range(scores.product.batch_count)]
    if [mask.sources[0] for mask in masks] != products:
        return ()
    first = masks[0].target
    targets = [replace(product, tensor=first.tensor) for product in products]
    return masks if [mask.target for mask in masks] == targets else ()


def _all_of(tensor: StoredTensor) -> Block:
    return Block(tensor=tensor.name, tokens=tensor.tokens, channels=tensor.channels)


def _of_batch(step: ProductStep, head: int, *, source: Block | None = None, target: Block | None = None) -> ProductStep:
    """One product of a batch."""
    name = f"{step.name}.{head}"
    return replace(
        step,
        name=name,
        product=replace(step.product, batch_count=1),
        source=source or moved(step.source, step.source_stride, head),
        operand=moved(step.operand, step.operand_stride, head),
        target=target or moved(step.target, step.target_stride, head),
        source_stride=(0, 0),
        operand_stride=(0, 0),
        target_stride=(0, 0),
    )
