"""MiniLM-L6 on sentences of real text, from word embeddings to sentence embeddings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from ssvq.data.similarity import load_lee50
from ssvq.models.minilm import WIDTH, MiniLM, SentenceEncoder, load_minilm
from ssvq.network import graph_of
from ssvq_gen.config import PRESETS

from ..metrics import COSINE
from ..subject import INT8, Case, Part, Sample, Subject, ssvq

SENTENCES, CALIBRATION, SIMULATED = 20, 8, 2
"""Sentences are the first ones of news items, in the lengths that most of them have, as each length is a program of its
own. Ranges are from what follows them."""


def subjects(*, quick: bool) -> list[Subject]:
    """One; the look-up of the words is on the host, and so is what brings the embedding to the length 1."""
    model, documents = load_minilm(), load_lee50().documents
    texts = [document.partition(". ") for document in documents]
    sentences = [_words(model, f"{first}.") for first, _, _ in texts]
    parts = _parts(model, sentences, [rest for _, _, rest in texts if rest][:CALIBRATION], 1 if quick else SENTENCES)
    rows = [(INT8, False), (ssvq(16, 8), False), (ssvq(16, 8), True), (ssvq(256, 8), True), (ssvq(256, 4), True)]
    simulated = 0 if quick else SIMULATED
    cases = [
        Case(config=PRESETS["base"], weights=weights, rates=(8,), simulated=simulated, weighted=weighted)
        for weights, weighted in (rows[:1] if quick else rows)
    ]
    host = ("embeddings.word_embeddings", "normalize")
    return [Subject(name="minilm", parts=parts, metrics=(COSINE,), cases=tuple(cases), host_operators=host)]


def _parts(model: MiniLM, sentences: Sequence[Tensor], others: Sequence[str], count: int) -> tuple[Part, ...]:
    """A graph for each length, with `count` sentences in all; the other texts are cut off at the length."""
    encoder = SentenceEncoder(model).eval()
    lengths = Counter(sentence.shape[1] for sentence in sentences)
    found: list[Part] = []
    for length, _ in lengths.most_common():
        samples = [sentence for sentence in sentences if sentence.shape[1] == length][:count]
        count -= len(samples)
        cut = [_words(model, text, length) for text in others]
        part = Part(
            graph=graph_of(encoder, (torch.zeros(1, length, WIDTH),)),
            samples=tuple(Sample(inputs=(own,)) for own in samples),
            calibration=tuple((own,) for own in cut if own.shape[1] == length),
        )
        found.append(part)
        if not count:
            break
    return tuple(found)


@torch.no_grad()
def _words(model: MiniLM, text: str, length: int = 256) -> Tensor:
    """Word embeddings (1, T, WIDTH) of at most so many tokens, the first and last of which are marks."""
    model.tokenizer.enable_truncation(max_length=length)
    tokens, _ = model.tokenize([text])
    found: Tensor = model.embeddings.word_embeddings(tokens)
    return found
