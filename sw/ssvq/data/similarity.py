"""What people think of the similarity of words and documents, from the files in gensim's package.

WordSim353: Finkelstein et al., 2002. SimLex999: Hill et al., 2015. Lee-50: Lee, Pincombe and Welsh, "An empirical
evaluation of models of text document similarity", 2005.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssvq.data.errors import DataFileError
from ssvq.models.packages import package_file


@dataclass(frozen=True, kw_only=True, eq=False)
class WordPairs:
    """Pairs of words that people have rated.

    Attributes:
        first: the words, N of them.
        second: the words to compare them with.
        human: mean rating, float64 (N,), 0 = unrelated to 10 = the same.
    """

    first: tuple[str, ...]
    second: tuple[str, ...]
    human: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class RatedDocuments:
    """Documents of which people have rated every pair.

    Attributes:
        documents: N texts.
        human: mean rating, float64 (N, N), symmetric, 0 = unrelated to 1 = the same; the diagonal is 1.
    """

    documents: tuple[str, ...]
    human: NDArray[np.float64]


def load_wordsim353() -> WordPairs:
    """353 pairs, rated for relatedness. Raises MissingPackageError, DataFileError."""
    return read_word_pairs(_gensim_file("wordsim353.tsv"))


def load_simlex999() -> WordPairs:
    """999 pairs, rated for similarity, which is not relatedness. Raises MissingPackageError, DataFileError."""
    return read_word_pairs(_gensim_file("simlex999.txt"))


def load_lee50() -> RatedDocuments:
    """50 news items of 45 to 126 words. Raises MissingPackageError, DataFileError."""
    return read_rated_documents(_gensim_file("lee.cor"), _gensim_file("similarities0-1.txt"))


def _gensim_file(name: str) -> Path:
    return package_file("gensim", "gensim", f"test/test_data/{name}")


def _lines(path: Path, encoding: str) -> list[str]:
    try:
        return path.read_text(encoding=encoding).removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataFileError(f"{path} cannot be read: {error}") from error


def _numbers(fields: Sequence[str], place: str, largest: float) -> list[float]:
    """Ratings; `place` is the file and line for errors."""
    try:
        numbers = [float(field) for field in fields]
    except ValueError as error:
        raise DataFileError(f"{place} must have numbers: {error}") from error
    for number in numbers:
        if not 0 <= number <= largest:
            raise DataFileError(f"{place} must have ratings in 0..{largest:g}, not {number}")
    return numbers


def read_word_pairs(path: Path) -> WordPairs:
    """Lines of two words and a rating of 0 to 10, separated by tabs; lines that start with # are left out.

    Raises:
        DataFileError: the file cannot be read, has another line or no pair.
    """
    first: list[str] = []
    second: list[str] = []
    human: list[float] = []
    for number, line in enumerate(_lines(path, "utf-8"), 1):
        if line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != 3:
            raise DataFileError(f"{path}:{number} must have two words and a rating, not {len(fields)} fields")
        human += _numbers(fields[2:], f"{path}:{number}", 10)
        first.append(fields[0])
        second.append(fields[1])
    if not human:
        raise DataFileError(f"{path} must have at least one pair of words")
    return WordPairs(first=tuple(first), second=tuple(second), human=np.array(human))


def read_rated_documents(document_file: Path, rating_file: Path) -> RatedDocuments:
    """Documents in Latin-1, one a line, and the upper triangle of their ratings, 0 to 1, a row a line, split by tabs.

    Raises:
        DataFileError: a file cannot be read, or the ratings are not those of the documents.
    """
    documents = tuple(_lines(document_file, "latin-1"))
    lines = enumerate(_lines(rating_file, "ascii"), 1)
    rows = [_numbers(line.split("\t"), f"{rating_file}:{number}", 1) for number, line in lines]
    count = len(documents)
    if len(rows) != count or any(len(row) != count for row in rows):
        raise DataFileError(f"{rating_file} must have {count} rows of {count} ratings, as there are as many documents")
    above = np.triu(np.array(rows).reshape(count, count), 1)
    return RatedDocuments(documents=documents, human=above + above.T + np.eye(count))
