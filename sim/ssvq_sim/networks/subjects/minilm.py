"""MiniLM-L6 on sentences of real text, from word embeddings to sentence embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ssvq.data.similarity import load_lee50
from ssvq.models.minilm import WIDTH, MiniLM, SentenceEncoder, load_minilm
from ssvq.network import graph_of
from ssvq_gen.config import PRESETS

from ..metrics import COSINE
from ..subject import INT8, Case, Part, Sample, Subject, ssvq

SENTENCES, CALIBRATION = 20, 8
"""First sentences of as many news items; the beginnings of others are what ranges are taken from."""
SIMULATED = 2


def subjects(*, quick: bool) -> list[Subject]:
    """One; the look-up of the words is on the host, and so is what brings the embedding to the length 1."""
    model, documents = load_minilm(), load_lee50().documents
    sentences = [document.partition(". ")[0] + "." for document in documents[:SENTENCES]]
    others = documents[SENTENCES : SENTENCES + CALIBRATION]
    parts = _parts(model, sentences[:1] if quick else sentences, others)
    rows = [(INT8, False), (ssvq(16, 8), False), (ssvq(16, 8), True), (ssvq(256, 8), True), (ssvq(256, 4), True)]
    simulated = 0 if quick else SIMULATED
    cases = [
        Case(config=PRESETS["base"], weights=weights, rates=(8,), simulated=simulated, weighted=weighted)
        for weights, weighted in (rows[:1] if quick else rows)
    ]
    host = ("embeddings.word_embeddings", "normalize")
    return [Subject(name="minilm", parts=parts, metrics=(COSINE,), cases=tuple(cases), host_operators=host)]


def _parts(model: MiniLM, sentences: Sequence[str], others: Sequence[str]) -> tuple[Part, ...]:
    """A graph for each length; the other texts are cut off at it."""
    encoder = SentenceEncoder(model).eval()
    words: dict[int, list[Tensor]] = {}
    for sentence in sentences:
        found = _words(model, sentence)
        words.setdefault(found.shape[1], []).append(found)
    parts = []
    for length, samples in words.items():
        cut = [_words(model, text, length) for text in others]
        part = Part(
            graph=graph_of(encoder, (torch.zeros(1, length, WIDTH),)),
            samples=tuple(Sample(inputs=(own,)) for own in samples),
            calibration=tuple((own,) for own in cut if own.shape[1] == length),
        )
        parts.append(part)
    return tuple(parts)


@torch.no_grad()
def _words(model: MiniLM, text: str, length: int = 256) -> Tensor:
    """Word embeddings (1, T, WIDTH) of at most so many tokens, the first and last of which are marks."""
    model.tokenizer.enable_truncation(max_length=length)
    tokens, _ = model.tokenize([text])
    found: Tensor = model.embeddings.word_embeddings(tokens)
    return found
