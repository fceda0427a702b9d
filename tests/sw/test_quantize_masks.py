"""N:M masks: what is kept, the rules of padding, and the packed pattern numbers."""

from __future__ import annotations

import itertools
import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from ssvq.quantize import choose_mask, pack_mask, pattern_bits, to_rows, unpack_bits, unpack_mask
from ssvq.quantize.masks import mask_problem

PATTERNS = st.integers(2, 16).flatmap(lambda group: st.tuples(st.integers(1, group - 1), st.just(group)))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("shape", "groups"), [((6, 13), 1), ((4, 5, 2, 3), 2), ((6, 1, 3, 3), 6)])
@pytest.mark.parametrize(("keep", "group", "dim"), [(1, 2, 4), (2, 4, 8), (5, 8, 8), (3, 16, 32)])
def test_the_largest_are_kept(shape: tuple[int, ...], groups: int, keep: int, group: int, dim: int) -> None:
    weight = torch.randn(shape, generator=generator())
    importance = torch.rand(groups * shape[1], generator=generator(1))
    mask = choose_mask(weight, keep, group, dim, importance=importance, groups=groups)
    rows = to_rows(weight)
    width = math.ceil(shape[1] / dim) * dim
    assert mask.shape == (rows.shape[0], rows.shape[1], width)
    for n, position, start in itertools.product(range(rows.shape[0]), range(rows.shape[1]), range(0, width, group)):
        inputs = n // (shape[0] // groups) * shape[1]
        value = [
            float(importance[inputs + k] * rows[n, position, k] ** 2) if k < shape[1] else -1.0
            for k in range(start, start + group)
        ]
        kept = sorted(range(group), key=lambda i: -value[i])[:keep]
        assert mask[n, position, start : start + group].nonzero().flatten().tolist() == sorted(kept)


def test_of_equal_weights_the_first_are_kept() -> None:
    assert choose_mask(torch.ones(1, 4), 2, 4, 4).flatten().tolist() == [True, True, False, False]
    assert choose_mask(torch.zeros(1, 3), 3, 4, 4).flatten().tolist() == [True, True, True, False]


def test_tiny_weights_are_told_apart() -> None:
    assert choose_mask(torch.tensor([[1e-30, 1e-29]]), 1, 2, 2).flatten().tolist() == [False, True]


@pytest.mark.parametrize(
    ("keep", "group", "dim", "text"),
    [
        (0, 4, 8, "keep must be in 1..3, not 0"),
        (4, 4, 8, "keep must be in 1..3, not 4"),
        (1, 17, 34, "group must be in 2..16, not 17"),
        (1, 3, 8, "group must divide the vector_dim 8, not be 3"),
    ],
)
def test_numbers_of_a_mask(keep: int, group: int, dim: int, text: str) -> None:
    with pytest.raises(ValueError) as caught:
        choose_mask(torch.ones(1, 8), keep, group, dim)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("kept", "channels", "problem"),
    [
        ([[1, 1, 0, 0], [1, 1, 0, 0]], 5, None),
        ([[1, 1, 0, 0], [1, 0, 1, 0]], 5, "padding"),
        ([[1, 1, 0, 0], [0, 1, 1, 0]], 5, "padding"),
        ([[1, 1, 0, 0], [0, 1, 0, 1]], 7, "padding"),
        ([[1, 1, 0, 0], [0, 1, 1, 0]], 7, None),
        ([[1, 0, 0, 0], [1, 1, 0, 0]], 8, "number"),
        ([[1, 1, 0, 0], [1, 1, 0, 0]], 4, None),
        ([[1, 1, 0, 0], [0, 0, 1, 1]], 4, "padding"),
    ],
)
def test_rules_of_a_mask(kept: list[list[int]], channels: int, problem: str | None) -> None:
    texts = {
        None: None,
        "number": "must keep 2 of every 4 channels",
        "padding": "must keep channels of the padding only in place of real ones that are missing, the first of them",
    }
    assert mask_problem(torch.tensor(kept, dtype=torch.bool).view(1, 1, 8), 2, 4, channels) == texts[problem]


@settings(max_examples=60, deadline=None)
@given(pattern=PATTERNS, rows=st.integers(1, 5), channels=st.integers(1, 50), seed=st.integers(0, 99))
def test_packing(pattern: tuple[int, int], rows: int, channels: int, seed: int) -> None:
    keep, group = pattern
    dim = group * (32 // group)
    mask = choose_mask(torch.randn(rows, channels, generator=generator(seed)), keep, group, dim)
    assert mask_problem(mask, keep, group, channels) is None
    packed = pack_mask(mask, keep, group)
    assert packed.numel() == math.ceil(mask.numel() // group * pattern_bits(keep, group) / 8)
    assert torch.equal(unpack_mask(packed, keep, group, mask.numel()), mask.flatten())


@pytest.mark.parametrize(("keep", "group"), [(1, 2), (2, 4), (3, 5), (7, 8), (4, 16)])
def test_patterns_are_numbered_in_ascending_order(keep: int, group: int) -> None:
    """The combinatorial number system: the i-th kept channel c adds C(c, i + 1)."""
    count = math.comb(group, keep)
    assert pattern_bits(keep, group) == math.ceil(math.log2(count))
    kept = sorted(itertools.combinations(range(group), keep), key=lambda places: sum(1 << c for c in places))
    mask = torch.zeros(count, group, dtype=torch.bool)
    for number, places in enumerate(kept):
        assert sum(math.comb(c, i + 1) for i, c in enumerate(places)) == number
        mask[number, list(places)] = True
    numbers = unpack_bits(pack_mask(mask, keep, group), pattern_bits(keep, group), count)
    assert numbers.tolist() == list(range(count))


def test_what_is_no_pattern() -> None:
    with pytest.raises(ValueError, match="mask must keep 2 of every 4 values"):
        pack_mask(torch.ones(1, 1, 8, dtype=torch.bool), 2, 4)
    with pytest.raises(ValueError, match="must hold pattern numbers below 6, not 7"):
        unpack_mask(torch.tensor([7], dtype=torch.uint8), 2, 4, 4)
    with pytest.raises(ValueError, match="must have zeros in the unused bits of the last byte"):
        unpack_mask(torch.tensor([8], dtype=torch.uint8), 2, 4, 4)
