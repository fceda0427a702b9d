"""A user's text, one sample a line."""

from __future__ import annotations

from pathlib import Path

from ssvq.data.errors import DataFileError


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file without white space around them; blank ones are left out.

    Raises:
        DataFileError: the file cannot be read, is not UTF-8, or has no text.
    """
    texts: list[str] = []
    number = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                if text:
                    texts.append(text)
    except UnicodeDecodeError as error:
        raise DataFileError(f"{path}:{number} must be UTF-8: {error.reason} at byte {error.start + 1}") from error
    except OSError as error:
        raise DataFileError(f"{path} cannot be read: {error.strerror}") from error
    if not texts:
        raise DataFileError(f"{path} must have at least one line of text")
    return texts
