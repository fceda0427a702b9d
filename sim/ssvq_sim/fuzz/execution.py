"""One input, read under limits, and what is wrong with what came of it."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .limits import SECONDS_MAX, TimeLimitError, Watch, memory_limit, time_limit
from .target import Target

Kind = Literal["untyped error", "hang", "memory", "code", "no text", "unequal", "died"]
SIZE_FACTOR = 4
_NO_MEMORY = ("can't allocate memory", "not enough memory", "Cannot allocate memory", "bad_alloc", "bad allocation")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A promise that a reader broke.

    Parameters
    ----------
    kind : which promise
    text : what happened
    place : where in the sources; findings of one kind and place are one
    """

    kind: Kind
    text: str
    place: str = ""

    @property
    def signature(self) -> str:
        """What makes two findings the same."""
        return f"{self.kind} {self.place or self.text}"


class Judge:
    """Reads inputs and judges.

    Parameters
    ----------
    target : the reader
    scratch : folder in which it may write
    seconds : processor time for one input
    """

    def __init__(self, target: Target, scratch: Path, *, seconds: float = SECONDS_MAX) -> None:
        self._target, self._seconds, self._watch = target, seconds, Watch(scratch)

    def warm_up(self) -> None:
        """Read the seeds without limits, so that what is imported late is there. Raises what the reader raises."""
        for seed in self._target.seeds():
            _again(self._target, self._target.read(seed))

    def finding(self, data: bytes) -> Finding | None:
        """What is wrong with how the target reads this, or None."""
        limit = SIZE_FACTOR * len(data) + self._target.spare_bytes
        self._watch.seen.clear()
        self._watch.armed = True
        try:
            with time_limit(self._seconds), memory_limit(limit):
                found = self._read(data)
        except TimeLimitError as error:
            found = Finding(kind="hang", text=f"reads for more than {self._seconds} s", place=place_of(error))
        finally:
            self._watch.armed = False
        if found is None and self._watch.seen:
            what = self._watch.seen[0]
            return Finding(kind="code", text=f"{len(data)} bytes brought about {what}", place=what.split(" ")[0])
        if found is not None and found.kind == "memory":
            text = (
                f"asks for more than {limit} bytes, {SIZE_FACTOR} times its {len(data)} and {self._target.spare_bytes}"
            )
            return Finding(kind="memory", text=text, place=found.place)
        return found

    def _read(self, data: bytes) -> Finding | None:
        try:
            value = self._target.read(data)
        except Exception as error:
            return self._refusal(error)
        try:
            return _again(self._target, value)
        except Exception as error:
            if any(map(_is_memory, _chain(error))):
                return Finding(kind="memory", text="", place=place_of(error))
            return Finding(kind="unequal", text=f"cannot be written again: {error!r:.300}", place=place_of(error))

    def _refusal(self, error: Exception) -> Finding | None:
        if cause := next(filter(_is_memory, _chain(error)), None):
            return Finding(kind="memory", text="", place=place_of(cause))
        if not isinstance(error, self._target.errors):
            return Finding(kind="untyped error", text=f"{error!r:.300}", place=place_of(error))
        return None if str(error).strip() else Finding(kind="no text", text=repr(error), place=place_of(error))


def _again(target: Target, value: Any) -> Finding | None:
    """Written again, and read again, it has to be the same; see `Target.write`."""
    if target.write is None:
        return None
    once = target.write(value)
    try:
        twice = target.write(target.read(once))
    except target.errors as error:
        text = f"what was read, and written again, is refused: {error!r:.300}"
        return Finding(kind="unequal", text=text, place=place_of(error))
    return None if once == twice else Finding(kind="unequal", text="what was read is not what is read of it again")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and all that it came of."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__  # type: ignore[assignment]


def _is_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or any(text in str(error) for text in _NO_MEMORY)


def place_of(error: BaseException) -> str:
    """The innermost line of the project's own that an exception passed."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/ssvq" in frame.filename and "/ssvq_sim/fuzz/" not in frame.filename] or frames
    return f"{Path(own[-1].filename).name}:{own[-1].name} {type(error).__name__}" if own else type(error).__name__
