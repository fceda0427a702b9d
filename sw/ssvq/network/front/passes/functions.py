"""Activation functions that are written out."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ssvq.network.front.passes.match import other_operand, term_and_number
from ssvq.network.front.rewrite import Rewrite
from ssvq.network.graph import Graph, Node
from ssvq.network.operators import Add, Clamp, Elementwise, Function, Multiply

TOLERANCE = 1e-3
"""Relative, of the numbers in a formula, which exporters round."""


def fuse_functions(graph: Graph) -> Graph:
    """x * sigmoid(x), x * hard_sigmoid(x), x * 0.5 (1 + erf(x / sqrt 2)) and the tanh form become one function of x."""
    rewrite = Rewrite(graph)
    for node in rewrite.each(Multiply):
        function = _hard_sigmoid(rewrite, node) or _gated(rewrite, node)
        if function is not None:
            rewrite.replace(node, Elementwise(function=function[0]), function[1])
    return rewrite.graph()


Found = tuple[Function, str]
"""A function and what it is of."""


def _gated(rewrite: Rewrite, node: Node) -> Found | None:
    """The function that a product of numbers, x and something of x, is."""
    for factor, terms in _products(rewrite, node):
        for x, gate in (terms, terms[::-1]):
            found = _gate(rewrite, gate, x, factor)
            if found is not None:
                return found, x
    return None


def _products(rewrite: Rewrite, node: Node) -> Iterator[tuple[float, tuple[str, ...]]]:
    """All ways to see a Multiply as a number times two values."""
    yield 1.0, node.operands
    found = term_and_number(rewrite, node.name, Multiply)
    if found is not None:
        inner = rewrite.producer(found[0])
        if inner is not None and isinstance(inner.operator, Multiply):
            yield found[1], inner.operands
        return
    for side in (0, 1):
        scaled = term_and_number(rewrite, node.operands[side], Multiply)
        if scaled is not None:
            yield scaled[1], (scaled[0], node.operands[1 - side])


def _gate(rewrite: Rewrite, gate: str, x: str, factor: float) -> Function | None:
    """The function factor * x * gate, where the gate is one of x."""
    node = rewrite.producer(gate)
    if node is None:
        return None
    if isinstance(node.operator, Elementwise) and node.operands == (x,) and factor == 1:
        gates = {Function.SIGMOID: Function.SILU, Function.HARD_SIGMOID: Function.HARD_SWISH}
        return gates.get(node.operator.function)
    six = rewrite.operator(gate, Clamp)
    if six == Clamp(low=0.0, high=6.0) and _near(factor, 1 / 6):
        return Function.HARD_SWISH if term_and_number(rewrite, node.operands[0], Add) == (x, 3.0) else None
    one = term_and_number(rewrite, gate, Add)
    inner = None if one is None or one[1] != 1 else rewrite.producer(one[0])
    if inner is None or not isinstance(inner.operator, Elementwise) or not _near(factor, 0.5):
        return None
    (argument,) = inner.operands
    if inner.operator.function is Function.ERROR_FUNCTION:
        scaled = term_and_number(rewrite, argument, Multiply)
        is_gelu = scaled is not None and scaled[0] == x and _near(scaled[1], math.sqrt(0.5))
        return Function.GELU if is_gelu else None
    if inner.operator.function is Function.TANH:
        return Function.GELU_TANH if _is_cubic(rewrite, argument, x) else None
    return None


def _is_cubic(rewrite: Rewrite, name: str, x: str) -> bool:
    """Whether the value is sqrt(2 / pi) * (x + 0.044715 x^3)."""
    scaled = term_and_number(rewrite, name, Multiply)
    if scaled is None or not _near(scaled[1], math.sqrt(2 / math.pi)):
        return False
    total = rewrite.producer(scaled[0])
    if total is None or not isinstance(total.operator, Add):
        return False
    cube = other_operand(total, x)
    return cube is not None and _is_cube(rewrite, cube, x)


def _is_cube(rewrite: Rewrite, name: str, x: str) -> bool:
    """Whether the value is 0.044715 x^3, by a power or by products."""
    factor, powers, open_terms = 1.0, 0, [name]
    while open_terms:
        term = open_terms.pop()
        node = rewrite.producer(term)
        number = rewrite.number(term)
        if term == x:
            powers += 1
        elif number is not None:
            factor *= number
        elif node is not None and isinstance(node.operator, Multiply):
            open_terms.extend(node.operands)
        elif (
            node is not None
            and isinstance(node.operator, Elementwise)
            and node.operator.function is Function.POWER
            and node.operands == (x,)
        ):
            powers += int(node.operator.parameter)
        else:
            return False
    return powers == 3 and _near(factor, 0.044715)


def _hard_sigmoid(rewrite: Rewrite, node: Node) -> Found | None:
    """relu6(x + 3) / 6."""
    scaled = term_and_number(rewrite, node.name, Multiply)
    if scaled is None or not _near(scaled[1], 1 / 6):
        return None
    if rewrite.operator(scaled[0], Clamp) != Clamp(low=0.0, high=6.0):
        return None
    six = rewrite.producer(scaled[0])
    shifted = None if six is None else term_and_number(rewrite, six.operands[0], Add)
    return None if shifted is None or shifted[1] != 3 else (Function.HARD_SIGMOID, shifted[0])


def _near(value: float, wanted: float) -> bool:
    return math.isclose(value, wanted, rel_tol=TOLERANCE)
