"""The glosses of WordNet 3.0: short English definitions, each with the category of its lexicographer file.

From Debian's package `wordnet-base` (6.5 MB); file format: wndb(5WN), categories: lexnames(5WN).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ssvq.data.debian import debian_package
from ssvq.data.errors import DataFileError

CATEGORIES = (
    *("adj.all", "adj.pert", "adv.all", "noun.Tops", "noun.act", "noun.animal", "noun.artifact", "noun.attribute"),
    *("noun.body", "noun.cognition", "noun.communication", "noun.event", "noun.feeling", "noun.food", "noun.group"),
    *("noun.location", "noun.motive", "noun.object", "noun.person", "noun.phenomenon", "noun.plant"),
    *("noun.possession", "noun.process", "noun.quantity", "noun.relation", "noun.shape", "noun.state"),
    *("noun.substance", "noun.time", "verb.body", "verb.change", "verb.cognition", "verb.communication"),
    *("verb.competition", "verb.consumption", "verb.contact", "verb.creation", "verb.emotion", "verb.motion"),
    *("verb.perception", "verb.possession", "verb.social", "verb.stative", "verb.weather", "adj.ppl"),
)
PARTS = ("noun", "verb", "adj", "adv")


@dataclass(frozen=True, kw_only=True, eq=False)
class Glosses:
    """Definitions with, after a semicolon, examples.

    Attributes:
        texts: of every synset, N of them.
        labels: int64 (N,), numbers of `CATEGORIES`.
    """

    texts: tuple[str, ...]
    labels: Tensor

    def __len__(self) -> int:
        return len(self.texts)

    def select(self, chosen: Tensor) -> Glosses:
        """Those where `chosen`, bool (N,), is True.

        Raises:
            ValueError: `chosen` has another type or shape.
        """
        if chosen.dtype != torch.bool or chosen.shape != self.labels.shape:
            raise ValueError(f"chosen must be bool ({len(self)},), not {chosen.dtype} {tuple(chosen.shape)}")
        texts = tuple(text for text, keep in zip(self.texts, chosen.tolist(), strict=True) if keep)
        return Glosses(texts=texts, labels=self.labels[chosen])


def load_glosses(*, parts: Sequence[str] = ("noun", "verb"), folder: Path | None = None) -> Glosses:
    """The glosses of some parts of speech, in the order of WordNet's files; of nouns and verbs 95,882.

    Adjectives and adverbs are left out unless asked for, as nearly all of each have one category.

    Args:
        parts: some of "noun", "verb", "adj", "adv".
        folder: with WordNet's `data.noun`, ...; the Debian package's if None.

    Raises:
        ValueError: an unknown part, or none.
        MissingDataError: the Debian package cannot be had.
        DataFileError: a file is missing or malformed.
    """
    if not parts:
        raise ValueError("parts must not be empty")
    for part in parts:
        if part not in PARTS:
            raise ValueError(f"parts must be of {', '.join(PARTS)}, not {part!r}")
    if folder is None:
        folder = debian_package("wordnet-base") / "usr/share/wordnet"
    texts: list[str] = []
    labels: list[int] = []
    for part in parts:
        _read(folder / f"data.{part}", texts, labels)
    return Glosses(texts=tuple(texts), labels=torch.tensor(labels, dtype=torch.int64))


def _read(path: Path, texts: list[str], labels: list[int]) -> None:
    """Append what a data file has."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataFileError(f"{path} cannot be read: {error}") from error
    for number, line in enumerate(lines, 1):
        if line.startswith("  "):  # the licence
            continue
        synset, bar, gloss = line.partition(" | ")
        fields = synset.split()
        label = int(fields[1]) if len(fields) > 1 and fields[1].isdecimal() else -1
        text = gloss.strip()
        if not bar or not text or not 0 <= label < len(CATEGORIES):
            raise DataFileError(f"{path}:{number} must be a synset with a file number of 0..44 and a gloss after a bar")
        texts.append(text)
        labels.append(label)
