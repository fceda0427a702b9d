"""Views of stored tensors against NumPy, and the blocks that they are."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssvq.network.integer.strided import Block, View, block_of, inverse_order, stored_order


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_movements_are_those_of_numpy(lengths: list[int], seed: int) -> None:
    chance = random.Random(seed)
    shape = tuple(lengths)
    stored = np.random.default_rng(seed).integers(-128, 128, math.prod(shape), dtype=np.int8)
    view, expected = View.whole("t", shape), stored.reshape(shape)
    for _ in range(4):
        axis = chance.randrange(expected.ndim)
        kind = chance.choice(("transpose", "slice", "reshape", "expand"))
        if kind == "transpose":
            order = tuple(chance.sample(range(expected.ndim), expected.ndim))
            view, expected = view.transposed(order), expected.transpose(order)
        elif kind == "slice":
            start = chance.randrange(expected.shape[axis])
            stop, step = chance.randint(start + 1, expected.shape[axis]), chance.randint(1, 2)
            view = view.sliced(axis, start, stop, step)
            expected = expected.take(range(start, stop, step), axis=axis)
        elif kind == "reshape":
            first = chance.choice([n for n in range(1, expected.size + 1) if expected.size % n == 0])
            moved = view.reshaped((first, expected.size // first))
            if moved is not None:
                view, expected = moved, expected.reshape(first, -1)
        elif expected.ndim < 6:
            wider = (2, *(3 if length == 1 else length for length in expected.shape))
            view, expected = view.expanded(wider), np.broadcast_to(expected, wider)
        assert view.shape == expected.shape
        assert (view.read(stored) == expected).all()


def test_matrices_are_the_last_two_axes() -> None:
    stored = np.arange(120, dtype=np.int8)
    view = View.whole("t", (5, 2, 3, 4)).transposed((2, 1, 0, 3)).expanded((2, 3, 2, 5, 4))
    expected = np.broadcast_to(stored.reshape(5, 2, 3, 4).transpose(2, 1, 0, 3), (2, 3, 2, 5, 4)).reshape(12, 5, 4)
    found = view.matrices()
    assert [matrix.shape for matrix in found] == [(5, 4)] * 12
    assert all((matrix.read(stored) == own).all() for matrix, own in zip(found, expected, strict=True))
    assert View.whole("t", (5, 24)).matrices() == [View.whole("t", (5, 24))]


def test_a_reshape_that_needs_a_copy_is_none() -> None:
    view = View.whole("t", (2, 3, 4)).transposed((1, 0, 2))
    assert view.reshaped((6, 4)) is None
    assert view.reshaped((3, 8)) is None
    assert view.reshaped((3, 2, 2, 2)) is not None


def test_heads_are_blocks_of_channels() -> None:
    """(1, T, 3 heads of 32) cut out of a packed qkv of 288 channels."""
    heads = View.whole("qkv", (1, 50, 288)).sliced(2, 96, 192, 1).reshaped((1, 50, 3, 32))
    assert heads is not None
    head = heads.transposed((0, 2, 1, 3)).sliced(1, 1, 2, 1)
    assert block_of(head, 288) == Block(tensor="qkv", channel=128, tokens=50, channels=32)
    token = View.whole("x", (1, 50, 96)).sliced(1, 3, 4, 1)
    assert block_of(token, 96) == Block(tensor="x", token=3, tokens=1, channels=96)
    every_other = View.whole("x", (1, 50, 96)).sliced(1, 1, 50, 2)
    assert block_of(every_other, 96) == Block(tensor="x", token=1, tokens=25, channels=96, step=2)


@pytest.mark.parametrize(
    ("view", "channels", "order"),
    [
        (View.whole("x", (1, 4, 5, 8)).transposed((0, 3, 1, 2)), 8, (0, 2, 3, 1)),
        (View.whole("x", (1, 4, 5, 1)).transposed((0, 3, 1, 2)), 1, (0, 2, 3, 1)),
        (View.whole("x", (1, 4, 8)).sliced(2, 3, 4, 1), 8, (0, 1, 2)),
        (View(tensor="x", shape=(1, 8), strides=(0, 1)), 8, (0, 1)),
        (View(tensor="x", shape=(5, 8), strides=(8, 1)), 8, (0, 1)),
    ],
)
def test_orders_have_the_channels_last(view: View, channels: int, order: tuple[int, ...]) -> None:
    assert stored_order(view, channels) == order
    assert block_of(view.transposed(order), channels) is not None
    back = tuple(order[axis] for axis in inverse_order(order))
    assert back == tuple(range(len(order)))


@pytest.mark.parametrize(
    "view",
    [
        View.whole("x", (5, 8)).transposed((1, 0)),
        View.whole("x", (40,)).sliced(0, 4, 12, 1),
        View.whole("x", (5, 8)).sliced(1, 0, 8, 2),
        View.whole("x", (1, 8)).expanded((5, 8)),
    ],
)
def test_what_is_no_block(view: View) -> None:
    """Channels that are not beside each other, or not of one activation; one activation that stands for several."""
    assert block_of(view, 8) is None


def test_one_activation_that_stands_for_several() -> None:
    view = View.whole("x", (1, 1, 1, 8)).expanded((1, 4, 5, 8))
    assert block_of(view, 8) is None
    assert block_of(view, 8, repeated=True) == Block(tensor="x", tokens=20, channels=8, step=0)
    assert block_of(View.whole("x", (5, 1)).expanded((5, 8)), 1, repeated=True) is None
