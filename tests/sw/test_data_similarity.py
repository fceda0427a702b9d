"""People's ratings of similarity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from optional_data import loaded_or_skip

from ssvq.data import DataFileError
from ssvq.data.similarity import load_lee50, load_simlex999, load_wordsim353, read_rated_documents, read_word_pairs


def test_pairs(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("# first\tsecond\trating\ntiger\tcat\t7.35\nold\tnew\t0\n")
    pairs = read_word_pairs(path)
    assert pairs.first == ("tiger", "old")
    assert pairs.second == ("cat", "new")
    assert pairs.human.tolist() == [7.35, 0.0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\tb\n", ":1 must have two words and a rating, not 2 fields"),
        (b"# x\na\tb\t3\nc\td\thigh\n", ":3 must have numbers: could not convert string to float: 'high'"),
        (b"a\tb\t10.5\n", r":1 must have ratings in 0\.\.10, not 10\.5"),
        (b"a\tb\tnan\n", r":1 must have ratings in 0\.\.10, not nan"),
        (b"# only\n", " must have at least one pair of words"),
        (b"\xff", " cannot be read: 'utf-8' codec"),
    ],
)
def test_malformed_pairs(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_bytes(content)
    with pytest.raises(DataFileError, match=rf"pairs\.tsv{message}"):
        read_word_pairs(path)


def test_documents(tmp_path: Path) -> None:
    documents, ratings = tmp_path / "d", tmp_path / "r"
    documents.write_bytes(b"one \xa3\ntwo\x85\nthree")  # Latin-1, and no end to the last line
    ratings.write_text("1\t0.3\t0.2\n0\t1\t0.5\n0\t0\t1\n")
    rated = read_rated_documents(documents, ratings)
    assert rated.documents == ("one £", "two\x85", "three")
    assert np.array_equal(rated.human, [[1, 0.3, 0.2], [0.3, 1, 0.5], [0.2, 0.5, 1]])
    for content, message in {
        "1\t0.3\n0\t1\n": "r must have 3 rows of 3 ratings, as there are as many documents",
        "1\t0.3\t0.2\n0\t1\n0\t0\t1\n": "r must have 3 rows of 3 ratings",
        "1\t0.3\t0.2\n0\t1\t1.5\n0\t0\t1\n": r"r:2 must have ratings in 0\.\.1, not 1\.5",
    }.items():
        ratings.write_text(content)
        with pytest.raises(DataFileError, match=message):
            read_rated_documents(documents, ratings)
    with pytest.raises(DataFileError, match=r"none cannot be read: .*No such file"):
        read_rated_documents(tmp_path / "none", ratings)


def test_the_real_sets() -> None:
    wordsim, simlex, lee = (loaded_or_skip(load) for load in (load_wordsim353, load_simlex999, load_lee50))
    assert len(wordsim.first) == len(wordsim.second) == len(wordsim.human) == 353
    assert (wordsim.first[1], wordsim.second[1], wordsim.human[1]) == ("tiger", "cat", 7.35)
    assert len(simlex.human) == 999
    assert len(lee.documents) == 50
    assert {len(document.split()) for document in lee.documents} <= set(range(45, 127))
    assert np.array_equal(lee.human, lee.human.T)
    assert lee.human[0, 1] == 0.3
