"""Sentence embeddings: whether they find similar what people do, and how close they are to another model's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ssvq.data.similarity import RatedDocuments, WordPairs, load_lee50, load_simlex999, load_wordsim353
from ssvq.evaluate.correlation import Correlation, correlation
from ssvq.evaluate.estimate import Estimate, mean_of

Embed = Callable[[Sequence[str]], Tensor]
"""Texts, B of them, to embeddings (B, width) of any length, such as `MiniLM.embed`."""


def embedded(embed: Embed, texts: Sequence[str], *, batch: int = 64) -> Tensor:
    """Embeddings of length 1, (N, width), of many texts; those of similar lengths are run together.

    Raises:
        ValueError: there is no text, batch is not positive, or `embed` gives something else than (B, width).
    """
    if not texts:
        raise ValueError("texts must not be empty")
    if batch < 1:
        raise ValueError(f"batch must be at least 1, not {batch}")
    order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
    parts: list[Tensor] = []
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        part = embed([texts[number] for number in chosen])
        if part.ndim != 2 or len(part) != len(chosen):
            raise ValueError(f"embed must give ({len(chosen)}, width), not {tuple(part.shape)}")
        parts.append(part.detach().float())
    mixed = functional.normalize(torch.cat(parts), dim=1)
    return mixed[torch.tensor(order, device=mixed.device).argsort()]


def word_similarity(embed: Embed, pairs: WordPairs) -> Correlation:
    """How the cosines of pairs of words go together with people's ratings. Raises as `embedded`."""
    words = sorted({*pairs.first, *pairs.second})
    places = {word: place for place, word in enumerate(words)}
    embeddings = embedded(embed, words)
    first, second = (embeddings[[places[word] for word in side]] for side in (pairs.first, pairs.second))
    return correlation(_numbers((first * second).sum(1)), pairs.human)


def document_similarity(embed: Embed, rated: RatedDocuments) -> Correlation:
    """How the cosines of all pairs of different documents go together with people's. Raises as `embedded`."""
    embeddings = embedded(embed, rated.documents)
    above = np.triu_indices(len(rated.documents), 1)
    return correlation(_numbers(embeddings @ embeddings.T)[above], rated.human[above])


def wordsim353(embed: Embed) -> Correlation:
    """Relatedness of 353 pairs of words; Spearman's is the usual figure. Raises MissingPackageError."""
    return word_similarity(embed, load_wordsim353())


def simlex999(embed: Embed) -> Correlation:
    """Similarity, not relatedness, of 999 pairs; Spearman's is the usual figure. Raises MissingPackageError."""
    return word_similarity(embed, load_simlex999())


def lee50(embed: Embed) -> Correlation:
    """Similarity of 50 news items, 1225 pairs; Pearson's is the usual figure. Raises MissingPackageError."""
    return document_similarity(embed, load_lee50())


def cosine(embeddings: Tensor, reference: Tensor) -> Estimate:
    """Mean cosine of two models' embeddings of the same texts, both (N, width).

    Raises:
        ValueError: the shapes differ.
    """
    if embeddings.ndim != 2 or embeddings.shape != reference.shape:
        raise ValueError(
            f"embeddings must be (N, width) for both, not {tuple(embeddings.shape)}, {tuple(reference.shape)}"
        )
    return mean_of(functional.cosine_similarity(embeddings, reference, dim=1))


def _numbers(tensor: Tensor) -> NDArray[np.float64]:
    numbers: NDArray[np.float64] = tensor.double().cpu().numpy()
    return numbers
