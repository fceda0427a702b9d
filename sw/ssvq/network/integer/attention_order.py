"""Attention head by head, so that the softmax of one head runs while the next heads are multiplied."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from ssvq.network.integer.integer_network import IntegerNetwork, ProductStep, Step, StoredTensor, VectorStep, moved
from ssvq.network.integer.strided import Block


@dataclass(frozen=True, kw_only=True, eq=False)
class _Product:
    """Products of one head, with what only they need and what only they give.

    Attributes:
        before: vector operations on an operand.
        products: one, or one for each of several runs of words of the outcome.
        after: vector operations on outcomes.
    """

    before: tuple[VectorStep, ...] = ()
    products: tuple[ProductStep, ...]
    after: tuple[VectorStep, ...] = ()

    @property
    def count(self) -> int:
        """Steps."""
        return len(self.before) + len(self.products) + len(self.after)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Attention:
    """Products of each head, what is done with all of them, and products of the outcome.

    Attributes:
        scores, values: of each head.
        masks: of each head; none without a mask.
        softmax: of all heads.
        length: steps of the network that this is.
    """

    scores: tuple[_Product, ...]
    masks: tuple[VectorStep, ...]
    softmax: VectorStep
    values: tuple[_Product, ...]
    length: int

    @property
    def count(self) -> int:
        """Heads."""
        return len(self.scores)

    @property
    def between(self) -> tuple[str, ...]:
        """Tensors that nothing but the attention may take."""
        masked = (step.target.tensor for step in (*self.masks, self.softmax))
        return tuple(dict.fromkeys((self.scores[0].products[0].target.tensor, *masked)))


def by_heads(network: IntegerNetwork) -> IntegerNetwork:
    """The same network with every scores, softmax, values in their steps split into those of each head.

    They are in the order scores 0, scores 1, softmax 0, then for each head h: values h, scores h + 2, softmax h + 1.
    So four matrices of a head are stored at a time, in place of twice as many as there are heads. A mask is a step in
    front of each softmax, and has one or two matrices more. What a product's operand needs comes before the product in
    front of it, and what is made of values h after softmax h + 1, so that the array waits for neither.
    """
    tensors = dict(network.tensors)
    taken = {view.tensor for view in network.outputs.values()}
    steps: list[Step] = []
    rest = list(network.steps)
    while rest:
        attention = _attention(rest, tensors)
        length = 1 if attention is None else attention.length
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
    order: list[Step] = []
    for scores, _, _ in parts[:2]:
        order += [*scores.before, *scores.products]
    order += parts[0][1]
    for head, (_, _, values) in enumerate(parts):
        following = [scores for scores, _, _ in parts[head + 2 : head + 3]]
        order += [step for scores in following for step in scores.before]
        order += values.products
        order += [step for scores in following for step in scores.products]
        order += [step for _, shares, _ in parts[head + 1 : head + 2] for step in shares]
        order += values.after
    return order


def _of_head(
    attention: _Attention, head: int, tensors: dict[str, StoredTensor]
) -> tuple[_Product, list[VectorStep], _Product]:
    """Scores of a head, the steps from them to its shares, and its values, with the tensors between them added."""
    blocks = []
    for tensor in attention.between:
        whole = tensors[tensor]
        tokens, name = whole.tokens // attention.count, f"{tensor}.{head}"
        tensors[name] = replace(whole, name=name, tokens=tokens)
        blocks.append(Block(tensor=name, tokens=tokens, channels=whole.channels))
    scores, values = attention.scores[head], attention.values[head]
    shares = [
        replace(mask, sources=(blocks[0], *mask.sources[1:]), target=blocks[1])
        for mask in attention.masks[head : head + 1]
    ]
    softmax = attention.softmax
    shares.append(replace(softmax, name=f"{softmax.name}.{head}", sources=(blocks[-2],), target=blocks[-1]))
    return (
        replace(scores, products=tuple(replace(step, target=blocks[0]) for step in scores.products)),
        shares,
        replace(values, products=tuple(replace(step, source=blocks[-1]) for step in values.products)),
    )


def _attention(steps: Sequence[Step], tensors: Mapping[str, StoredTensor]) -> _Attention | None:
    """The attention that steps begin with; None when these are others."""
    scores = _split(steps[0]) or _scores_of_heads(steps)
    if len(scores) < 2:
        return None
    first = scores[0].products[0].target
    length = _length(steps, scores)
    masks = _masks(scores, steps[length : length + len(scores)])
    length += len(masks) + 1
    softmax = steps[length - 1] if length < len(steps) else None
    if not isinstance(softmax, VectorStep):
        return None
    whole = _all_of(tensors[softmax.target.tensor])
    scored = _all_of(tensors[(masks[0] if masks else scores[0].products[0]).target.tensor])
    parts = _parts(replace(whole, tokens=first.tokens), len(scores))
    values = _split(steps[length]) or _values_of_heads(steps[length:], parts)
    follow_each_other = (
        [head.products[0].target for head in scores] == _parts(first, len(scores))
        and softmax.sources == (scored,)
        and softmax.target == whole
        and [{step.source for step in head.products} for head in values] == [{part} for part in parts]
    )
    if not follow_each_other:
        return None
    length += _length(steps[length:], values)
    return _Attention(scores=scores, masks=masks, softmax=softmax, values=values, length=length)


def _split(step: Step) -> tuple[_Product, ...]:
    """The products of a batch by themselves; none where a step is no batch."""
    if not isinstance(step, ProductStep) or step.product.batch_count < 2:
        return ()
    return tuple(_Product(products=(_of_batch(step, number),)) for number in range(step.product.batch_count))


def _length(steps: Sequence[Step], heads: Sequence[_Product]) -> int:
    """How many of the steps the products of heads are: of a batch it is one."""
    return 1 if _split(steps[0]) else sum(head.count for head in heads)


def _scores_of_heads(steps: Sequence[Step]) -> tuple[_Product, ...]:
    """Products in a row that are parts of one tensor, each with the vector operation in front of it that it takes."""
    found: list[_Product] = []
    rest = list(steps)
    while rest:
        before = tuple(step for step in rest[:1] if isinstance(step, VectorStep))
        product = rest[len(before)] if len(before) < len(rest) else None
        if not isinstance(product, ProductStep) or product.product.batch_count > 1:
            break
        if before and product.source != before[0].target:
            break
        if found and product.target != moved(found[-1].products[0].target, (product.target.tokens, 0), 1):
            break
        found.append(_Product(before=before, products=(product,)))
        del rest[: found[-1].count]
    return tuple(found)


def _values_of_heads(steps: Sequence[Step], shares: Sequence[Block]) -> tuple[_Product, ...]:
    """Products in a row that take a head's shares each, and the vector operations after each that take its outcomes."""
    found: list[_Product] = []
    rest = list(steps)
    for part in shares:
        products: list[ProductStep] = []
        after: list[VectorStep] = []
        for step in rest:
            if isinstance(step, ProductStep) and step.source == part and step.product.batch_count == 1 and not after:
                products.append(step)
            elif isinstance(step, VectorStep) and step.sources[-1] in [own.target for own in products]:
                after.append(step)
            else:
                break
        if not products:
            break
        found.append(_Product(products=tuple(products), after=tuple(after)))
        del rest[: found[-1].count]
    return tuple(found)


def _masks(scores: Sequence[_Product], steps: Sequence[Step]) -> tuple[VectorStep, ...]:
    """The steps that take one product each, in their order, and another operand; none where not all are such steps."""
    masks = tuple(step for step in steps if isinstance(step, VectorStep) and len(step.sources) == 2)
    products = [head.products[0].target for head in scores]
    if [mask.sources[0] for mask in masks] != products:
        return ()
    first = masks[0].target
    targets = [replace(product, tensor=first.tensor) for product in products]
    return masks if [mask.target for mask in masks] == targets else ()


def _parts(first: Block, count: int) -> list[Block]:
    """So many blocks below each other."""
    return [moved(first, (first.tokens, 0), number) for number in range(count)]


def _all_of(tensor: StoredTensor) -> Block:
    return Block(tensor=tensor.name, tokens=tensor.tokens, channels=tensor.channels)


def _of_batch(step: ProductStep, head: int) -> ProductStep:
    """One product of a batch."""
    return replace(
        step,
        name=f"{step.name}.{head}",
        product=replace(step.product, batch_count=1),
        source=moved(step.source, step.source_stride, head),
        operand=moved(step.operand, step.operand_stride, head),
        target=moved(step.target, step.target_stride, head),
        source_stride=(0, 0),
        operand_stride=(0, 0),
        target_stride=(0, 0),
    )
