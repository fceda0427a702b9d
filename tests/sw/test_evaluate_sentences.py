"""Correlations, and sentence embeddings against people and against each other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from optional_data import loaded_or_skip
from torch import Tensor

from ssvq.data.similarity import RatedDocuments, WordPairs, load_lee50
from ssvq.evaluate.correlation import correlation, pearson, ranks, spearman
from ssvq.evaluate.sentences import (
    cosine,
    document_similarity,
    embedded,
    lee50,
    simlex999,
    word_similarity,
    wordsim353,
)
from ssvq.models.minilm import MiniLM, load_minilm


def angles(texts: Sequence[str]) -> Tensor:
    """Embeddings of any length at the angle that a text says in degrees."""
    degrees = torch.tensor([float(text) for text in texts]).deg2rad()
    return torch.stack((degrees.cos(), degrees.sin()), 1) * (1 + degrees[:, None])


def test_ranks_share_ties() -> None:
    assert ranks(np.array([30.0, 10.0, 20.0, 10.0, 10.0, 20.0])).tolist() == [6.0, 2.0, 4.5, 2.0, 2.0, 4.5]


def test_correlations() -> None:
    x, y = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([2.0, 1.0, 4.0, 3.0, 7.0])
    both = correlation(x, y)
    assert both.pearson == pytest.approx(12 / math.sqrt(10 * 21.2))
    assert both.spearman == pytest.approx(0.8)  # 1 - 6 * 4 / (5 * 24)
    assert both.count == 5
    assert spearman(x, np.exp(y)) == pytest.approx(0.8)
    assert pearson(x, -3 * x + 1) == pytest.approx(-1)
    # ties: ranks 1.5, 1.5, 3, 4 against 1, 2, 3.5, 3.5
    assert spearman(np.array([1.0, 1, 2, 3]), np.array([0.0, 1, 2, 2])) == pytest.approx(4 / 4.5)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([1.0, 2.0], [1.0, 2.0, 3.0], r"both series must be \(N,\) with N of at least 2, not \(2,\), \(3,\)"),
        ([1.0], [1.0], r"both series must be \(N,\) with N of at least 2, not \(1,\), \(1,\)"),
        ([1.0, 2.0], [np.nan, 2.0], "series must be of finite numbers"),
        ([1.0, 2.0], [4.0, 4.0], "numbers of a series must differ, not all be 4.0"),
    ],
)
def test_no_correlation(first: list[float], second: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        correlation(np.array(first), np.array(second))


def test_embeddings_keep_their_order() -> None:
    texts = [str(number) for number in (150, 2, 70, 8, 99)]
    found = embedded(angles, texts, batch=2)
    torch.testing.assert_close(found, torch.nn.functional.normalize(angles(texts), dim=1))
    with pytest.raises(ValueError, match="texts must not be empty"):
        embedded(angles, [])
    with pytest.raises(ValueError, match="batch must be at least 1, not 0"):
        embedded(angles, texts, batch=0)
    with pytest.raises(ValueError, match=r"embed must give \(5, width\), not \(5,\)"):
        embedded(lambda texts: angles(texts)[:, 0], texts)


def test_words_and_documents() -> None:
    pairs = WordPairs(first=("0", "0", "10"), second=("20", "90", "50"), human=np.array([9.0, 1.0, 5.0]))
    found = word_similarity(angles, pairs)
    assert found.spearman == pytest.approx(1)
    expected = np.corrcoef(np.cos(np.deg2rad([20, 90, 40])), pairs.human)[0, 1]
    assert found.pearson == pytest.approx(expected, abs=1e-6)
    human = np.array([[1, 0.9, 0.2], [0.9, 1, 0.4], [0.2, 0.4, 1]])
    documents = document_similarity(angles, RatedDocuments(documents=("0", "20", "75"), human=human))
    assert documents.count == 3
    expected = np.corrcoef(np.cos(np.deg2rad([20, 75, 55])), [0.9, 0.2, 0.4])[0, 1]
    assert documents.pearson == pytest.approx(expected, abs=1e-6)


def test_cosine() -> None:
    found = cosine(angles(["0", "30"]), angles(["60", "30"]))
    assert found.value == pytest.approx(0.75)
    assert found.count == 2
    with pytest.raises(ValueError, match=r"embeddings must be \(N, width\) for both, not \(1, 2\), \(2, 2\)"):
        cosine(angles(["0"]), angles(["0", "1"]))


@pytest.fixture(scope="module")
def encoder() -> MiniLM:
    loaded_or_skip(load_lee50)
    return loaded_or_skip(load_minilm)


def test_minilm_thinks_like_people(encoder: MiniLM) -> None:
    """Known figures of the float model, single thread or many."""
    words = wordsim353(encoder.embed)
    assert words.count == 353
    assert words.spearman == pytest.approx(0.729, abs=1e-3)
    assert simlex999(encoder.embed).spearman == pytest.approx(0.446, abs=1e-3)
    news = lee50(encoder.embed)
    assert news.count == 1225
    assert news.pearson == pytest.approx(0.656, abs=1e-3)
