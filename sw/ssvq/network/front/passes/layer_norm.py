"""LayerNorm that is written out."""

from __future__ import annotations

from ssvq.network.front.passes.match import other_operand, term_and_number
from ssvq.network.front.rewrite import Rewrite
from ssvq.network.graph import Graph, Node
from ssvq.network.operators import Add, Elementwise, Function, LayerNorm, Mean, Multiply


def fuse_layer_norm(graph: Graph) -> Graph:
    """(x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon) * weight + bias over the last axis becomes a LayerNorm."""
    rewrite = Rewrite(graph)
    for node in rewrite.each(Add):
        _fuse(rewrite, node)
    return rewrite.graph()


def _fuse(rewrite: Rewrite, node: Node) -> None:
    for scaled, bias in (node.operands, node.operands[::-1]):
        shift = rewrite.constant(bias)
        product = rewrite.producer(scaled)
        if shift is None or product is None or not isinstance(product.operator, Multiply):
            continue
        for normal, weight in (product.operands, product.operands[::-1]):
            gain = rewrite.constant(weight)
            found = _normalised(rewrite, normal)
            if gain is None or found is None:
                continue
            x, epsilon = found
            width = rewrite.type_of(x).shape[-1:]
            if tuple(gain.shape) == tuple(shift.shape) == width:
                rewrite.replace(node, LayerNorm(epsilon=epsilon), x, weight, bias)
                return


def _normalised(rewrite: Rewrite, name: str) -> tuple[str, float] | None:
    """x and epsilon, where the value is a normalised x."""
    product = rewrite.producer(name)
    if product is None or not isinstance(product.operator, Multiply):
        return None
    for centred, inverse in (product.operands, product.operands[::-1]):
        epsilon = _inverse_deviation(rewrite, inverse, centred)
        x = _centred(rewrite, centred)
        if epsilon is not None and x is not None:
            return x, epsilon
    return None


def _centred(rewrite: Rewrite, name: str) -> str | None:
    """x, where the value is x - mean(x)."""
    difference = rewrite.producer(name)
    if difference is None or not isinstance(difference.operator, Add):
        return None
    for x, negative in (difference.operands, difference.operands[::-1]):
        found = term_and_number(rewrite, negative, Multiply)
        if found is not None and found[1] == -1 and _is_mean(rewrite, found[0], x):
            return x
    return None


def _inverse_deviation(rewrite: Rewrite, name: str, centred: str) -> float | None:
    """Epsilon, where the value is 1 / sqrt(mean(centred^2) + epsilon)."""
    inverse = rewrite.producer(name)
    if inverse is None or not isinstance(inverse.operator, Elementwise):
        return None
    (inner,) = inverse.operands
    if inverse.operator.function is Function.RECIPROCAL:
        root = rewrite.producer(inner)
        if root is None or root.operator != Elementwise(function=Function.SQRT):
            return None
        (inner,) = root.operands
    elif inverse.operator.function is not Function.RECIPROCAL_SQRT:
        return None
    found = term_and_number(rewrite, inner, Add)
    mean = None if found is None else rewrite.producer(found[0])
    if found is None or mean is None or not isinstance(mean.operator, Mean):
        return None
    is_variance = _is_square(rewrite, mean.operands[0], centred) and _is_mean(rewrite, found[0], mean.operands[0])
    return found[1] if is_variance else None


def _is_mean(rewrite: Rewrite, name: str, of: str) -> bool:
    """Whether the value is another's mean over the last axis."""
    mean = rewrite.producer(name)
    last = len(rewrite.type_of(of).shape) - 1
    return mean is not None and mean.operator == Mean(axes=(last,)) and mean.operands == (of,)


def _is_square(rewrite: Rewrite, name: str, of: str) -> bool:
    square = rewrite.producer(name)
    if square is None:
        return False
    if square.operator == Elementwise(function=Function.POWER, parameter=2.0):
        return square.operands == (of,)
    return isinstance(square.operator, Multiply) and other_operand(square, of) == of
