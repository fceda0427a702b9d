"""MiniLM on sentences of a fixed number of tokens, with its mask as an input."""

from __future__ import annotations

import torch
from optional_data import loaded_or_skip
from test_network_masks import assembled, run_exact
from torch.nn import functional

from ssvq.models.minilm import load_minilm


def test_minilm_with_padding() -> None:
    """The encoder of a padded sentence is on the core; only the look-up of words is not."""
    model = loaded_or_skip(load_minilm)
    model.tokenizer.enable_truncation(max_length=16)
    model.tokenizer.enable_padding(length=16)
    first, other = (
        model.tokenize([text]) for text in ("The sea is calm tonight.", "Ten ships came home, all of them late.")
    )
    made = assembled(model, first, "base")
    assert list(made.partition.reasons) == ["embeddings.word_embeddings"]
    assert "mask" in [own.name for part in made.network.core_parts for own in part.compiled.network.inputs]
    tokens, mask = first
    assert not mask.all()
    found = run_exact(made, first, "base")[mask]
    with torch.no_grad():
        expected = model(*first)[mask]
    assert float(functional.cosine_similarity(found, expected, 1).mean()) > 0.95
    for padding in (0, 103):
        padded = torch.where(mask, tokens, padding)
        (again,) = made.network.run_reference((padded, mask)).values()
        assert torch.equal(again[mask], found)
    assert not torch.equal(next(iter(made.network.run_reference(other).values()))[mask], found)
