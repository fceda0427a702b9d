"""Attention head by head, so that the softmax of one head runs while the next heads are multiplied."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from ssvq.network.integer.integer_network import IntegerNetwork, ProductStep, Step, StoredTensor, VectorStep, moved
from ssvq.network.integer.strided import Block


def by_heads(network: IntegerNetwork) -> IntegerNetwork:
    """The same network with every scores, softmax, values in three steps split into those of each head.

    They are in the order scores 0, scores 1, softmax 0, then for each head h: values h, scores h + 2, softmax h + 1.
    So four matrices of a head are stored at a time, in place of twice as many as there are heads.
    """
    tensors = dict(network.tensors)
    taken = {view.tensor for view in network.outputs.values()}
    steps: list[Step] = []
    rest = list(network.steps)
    while rest:
        later = taken | {block.tensor for step in rest[3:] for block in step.sources}
        heads = _heads(rest[:3], tensors, later)
        steps += heads or rest[:1]
        del rest[: 3 if heads else 1]
    used = {block.tensor for step in steps for block in (*step.sources, step.target)}
    kept = used | {view.tensor for view in network.outputs.values()} | {own.tensor for own in network.inputs}
    tensors = {name: tensor for name, tensor in tensors.items() if name in kept}
    return replace(network, tensors=tensors, steps=tuple(steps))


def _heads(steps: list[Step], tensors: dict[str, StoredTensor], later: Collection[str]) -> list[Step]:
    """The steps of all heads, with their tensors added; none when these are not the steps of an attention.

    `later` are the tensors that what follows takes.
    """
    attention = _attention(steps, tensors)
    if attention is None or {steps[0].target.tensor, steps[1].target.tensor} & set(later):
        return []
    scores, softmax, values = attention
    count = scores.product.batch_count
    if any(f"{step.target.tensor}.{head}" in tensors for step in (scores, softmax) for head in range(count)):
        return []
    parts: list[tuple[Step, Step, Step]] = []
    for head in range(count):
        blocks = []
        for block in (scores.target, softmax.target):
            whole = tensors[block.tensor]
            name = f"{block.tensor}.{head}"
            tensors[name] = replace(whole, name=name, tokens=whole.tokens // count)
            blocks.append(Block(tensor=name, tokens=whole.tokens // count, channels=whole.channels))
        parts.append(
            (
                _of_head(scores, head, target=blocks[0]),
                replace(softmax, name=f"{softmax.name}.{head}", sources=(blocks[0],), target=blocks[1]),
                _of_head(values, head, source=blocks[1]),
            )
        )
    order = [parts[0][0], *(part[0] for part in parts[1:2]), parts[0][1]]
    for head, part in enumerate(parts):
        order.append(part[2])
        order += [later[0] for later in parts[head + 2 : head + 3]]
        order += [later[1] for later in parts[head + 1 : head + 2]]
    return order


def _attention(
    steps: list[Step], tensors: Mapping[str, StoredTensor]
) -> tuple[ProductStep, VectorStep, ProductStep] | None:
    """Stacked products, an operation on all of them, and products of its outputs; None when these are others."""
    if len(steps) < 3:
        return None
    scores, softmax, values = steps
    if not (isinstance(scores, ProductStep) and isinstance(softmax, VectorStep) and isinstance(values, ProductStep)):
        return None
    tokens = scores.target.tokens
    whole = tensors[softmax.target.tensor]
    follow_each_other = (
        scores.product.batch_count == values.product.batch_count > 1
        and scores.target_stride == (tokens, 0) == values.source_stride
        and softmax.sources == (_all_of(tensors[scores.target.tensor]),)
        and softmax.target == _all_of(whole)
        and (values.source.tensor, values.source.channels) == (whole.name, whole.channels)
        and values.source.tokens == tokens
    )
    return (scores, softmax, values) if follow_each_other else None


def _all_of(tensor: StoredTensor) -> Block:
    return Block(tensor=tensor.name, tokens=tensor.tokens, channels=tensor.channels)


def _of_head(step: ProductStep, head: int, *, source: Block | None = None, target: Block | None = None) -> ProductStep:
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
