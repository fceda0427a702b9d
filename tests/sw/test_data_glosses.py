"""WordNet's glosses, and holding texts out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from optional_data import loaded_or_skip

from ssvq.data import DataFileError
from ssvq.data.glosses import CATEGORIES, PARTS, Glosses, load_glosses
from ssvq.data.split import held_out

NOUNS = """  1 This is the licence.
00001740 03 n 01 entity 0 003 ~ 00001930 n 0000 | that which exists; "an | in an example"
00001930 18 n 01 person 0 001 @ 00001740 n 0000 | a human being
"""
VERBS = "00001740 29 v 01 breathe 0 001 $ 00002325 v 0000 01 + 02 00 | draw air into the lungs\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data.noun").write_text(NOUNS)
    (tmp_path / "data.verb").write_text(VERBS)
    return tmp_path


def test_a_folder(folder: Path) -> None:
    glosses = load_glosses(folder=folder)
    assert glosses.texts == ('that which exists; "an | in an example"', "a human being", "draw air into the lungs")
    assert [CATEGORIES[label] for label in glosses.labels] == ["noun.Tops", "noun.person", "verb.body"]
    assert load_glosses(parts=["verb"], folder=folder).texts == glosses.texts[2:]
    chosen = glosses.select(torch.tensor([True, False, True]))
    assert chosen.texts == (glosses.texts[0], glosses.texts[2])
    assert chosen.labels.tolist() == [3, 29]
    with pytest.raises(ValueError, match=r"chosen must be bool \(3,\), not torch\.int64 \(2,\)"):
        glosses.select(torch.tensor([0, 2]))


@pytest.mark.parametrize(
    "line", ["00001740 03 n 01 entity", "00001740 45 n | text", "00001740 xx n | text", "1 | text", "00001740 03 n |  "]
)
def test_malformed_lines_are_named(folder: Path, line: str) -> None:
    (folder / "data.verb").write_text(f"{VERBS}{line}\n")
    with pytest.raises(DataFileError, match=r"data\.verb:2 must be a synset with a file number of 0\.\.44 and a gloss"):
        load_glosses(folder=folder)


def test_refuses(folder: Path) -> None:
    with pytest.raises(DataFileError, match=r"data\.adj cannot be read: .*No such file"):
        load_glosses(parts=PARTS, folder=folder)
    with pytest.raises(ValueError, match="parts must be of noun, verb, adj, adv, not 'nouns'"):
        load_glosses(parts=["nouns"], folder=folder)
    with pytest.raises(ValueError, match="parts must not be empty"):
        load_glosses(parts=[], folder=folder)


def test_what_is_held_out_depends_on_the_text_only() -> None:
    texts = [f"text {number}" for number in range(4000)]
    out = held_out(texts, fraction=0.25)
    assert 900 < int(out.sum()) < 1100
    assert torch.equal(held_out(texts[::-1], fraction=0.25).flip(0), out)
    assert torch.equal(held_out(texts[:7], fraction=0.25), out[:7])
    # the same on every machine and in every version
    assert out[:30].nonzero().flatten().tolist() == [5, 14, 28]
    larger = held_out(texts, fraction=0.5)
    assert bool((larger | ~out).all())
    other = held_out(texts, fraction=0.25, seed=1)
    assert 150 < int((other & out).sum()) < 350
    assert not held_out(texts, fraction=0.0).any()
    assert held_out(texts, fraction=1.0).all()
    assert held_out([], fraction=0.5).shape == (0,)
    with pytest.raises(ValueError, match=r"fraction must be in 0\.\.1, not 1\.5"):
        held_out(texts, fraction=1.5)


def test_the_real_glosses() -> None:
    glosses: Glosses = loaded_or_skip(load_glosses)
    assert len(glosses) == 95_882
    # only nouns and verbs, of all their categories
    assert {CATEGORIES[label].split(".")[0] for label in glosses.labels.unique()} == {"noun", "verb"}
    assert len(glosses.labels.unique()) == 41
    assert glosses.texts[1] == "an entity that has physical existence"
    assert min(len(text) for text in glosses.texts) > 1
