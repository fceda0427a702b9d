"""What a run of a compiled network gave, as a file: `ssvq run --record` writes it, `ssvq report` reads it."""

from __future__ import annotations

import hashlib
import json
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ssvq.driver.errors import CounterMismatch
from ssvq.driver.profile import Profile, check_profile
from ssvq.files import write_atomically
from ssvq.network.errors import ReportError
from ssvq.network.files.annotations import is_of, text_of
from ssvq.network.hosting.backend import BACKENDS, REFERENCE
from ssvq.program import Program
from ssvq_gen.config import CoreConfig
from ssvq_gen.profile import PROFILE_CLASSES

KIND, VERSION = "ssvq-run", 1


@dataclass(frozen=True, kw_only=True)
class PartRun:
    """A part of a network, which one program runs.

    Attributes:
        name: of the part.
        program: digest of its program, see `program_digest`.
        counters: of the core, by name; empty for the reference.
        profile: where the core recorded one.

    Raises ReportError for a profile that does not belong to the counters.
    """

    name: str
    program: str
    counters: Mapping[str, int] = field(default_factory=dict)
    profile: Profile | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "counters", MappingProxyType(dict(self.counters)))
        if self.profile is None:
            return
        if self.profile.total != self.cycles:
            rule = f"the profile has {self.profile.total} cycles, the counters say {self.cycles}"
            raise ReportError(f"run of {self.name}", rule)
        try:
            check_profile(self.profile)
        except CounterMismatch as error:
            raise ReportError(f"run of {self.name}", str(error)) from error

    @property
    def cycles(self) -> int | None:
        """TOTAL_CYCLES; None for the reference."""
        return self.counters.get("TOTAL_CYCLES")


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A run of a network's programs, or of its golden model.

    Attributes:
        network: its name.
        backend: one of `BACKENDS`; `reference` has no cycles.
        config: of the core.
        parts: those on the core, in order.
        weight_formats: of their weight streams, in small letters.
        bytes_per_cycle: rate of the bus.
        latency: cycles from a read request to its first data.
        bit_exact: all outputs were those of the golden model; None where nothing was compared.
        samples: inputs that the metrics are of; counters and profiles are those of the first.
        metrics: accuracy by name, such as `cosine to float`.
        command: that made it.

    Raises ReportError for values that contradict each other.
    """

    network: str
    backend: str
    config: CoreConfig
    parts: tuple[PartRun, ...]
    weight_formats: tuple[str, ...]
    bytes_per_cycle: float
    latency: int = 0
    bit_exact: bool | None = None
    samples: int = 1
    metrics: Mapping[str, float] = field(default_factory=dict)
    command: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "metrics", MappingProxyType(dict(self.metrics)))
        if self.backend not in BACKENDS:
            self._fail(f"backend must be one of {', '.join(BACKENDS)}, not {self.backend!r}")
        if not 0 < self.bytes_per_cycle <= self.config.beat_bytes:
            rule = f"bytes_per_cycle must be above 0 and at most {self.config.beat_bytes}"
            self._fail(f"{rule}, not {self.bytes_per_cycle}")
        if any((part.cycles is None) != (self.backend == REFERENCE) for part in self.parts):
            self._fail("its parts must have counters, unless it is of the reference")

    def _fail(self, rule: str) -> None:
        raise ReportError(f"run of {self.network}", rule)

    @property
    def cycles(self) -> int | None:
        """Of all parts; None for the reference."""
        found = [part.cycles for part in self.parts if part.cycles is not None]
        return sum(found) if found else None

    def to_json(self) -> str:
        """The content of its file."""
        values: dict[str, Any] = {"kind": KIND, "version": VERSION}
        values |= {name: getattr(self, name) for name in self.__dataclass_fields__}
        values |= {"metrics": dict(self.metrics), "config": self.config.to_dict()}
        values["parts"] = [
            {
                "name": part.name,
                "program": part.program,
                "counters": dict(part.counters),
                "profile": None if part.profile is None else part.profile.to_dict(),
            }
            for part in self.parts
        ]
        return json.dumps(values, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> RunRecord:
        """Inverse of `to_json`. Raises ReportError for anything else."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ReportError("run", f"it is not JSON: {error}") from error
        if not isinstance(values, dict) or values.pop("kind", None) != KIND:
            raise ReportError("run", f"it must be a record of kind {KIND!r}, as `ssvq run --record` writes it")
        if (version := values.pop("version", None)) != VERSION:
            raise ReportError("run", f"its version must be {VERSION}, not {version!r}")
        try:
            record = cls(
                **{
                    **values,
                    "config": CoreConfig.from_dict(values["config"]),
                    "parts": tuple(_part(part) for part in values["parts"]),
                    "weight_formats": tuple(values["weight_formats"]),
                }
            )
        except ReportError:
            raise
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise ReportError("run", f"it is malformed: {error!r}") from error
        for part in record.parts:
            _require_types(f"part {part.name!r:.80}", part)
            if part.profile is not None:
                _require_profile(f"profile of part {part.name!r:.80}", part.profile)
        _require_types("run", record)
        return record

    def save(self, path: Path) -> None:
        """Write its file. Raises OSError."""
        write_atomically(path, self.to_json().encode())

    @classmethod
    def load(cls, path: Path) -> RunRecord:
        """Read a file. Raises ReportError that names it, OSError when it cannot be read."""
        try:
            return cls.from_json(path.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise ReportError(str(path), "it is not text") from error
        except ReportError as error:
            raise ReportError(str(path), str(error)) from error


def program_digest(program: Program) -> str:
    """What tells programs apart: their descriptors and weights. Cores that record more or less run the same."""
    return hashlib.sha256(program.image.tobytes()).hexdigest()[:16]


def same_core(one: CoreConfig, other: CoreConfig) -> bool:
    """They differ in names and `profile_depth` at most, and take the same programs."""
    return one == other.replace(name=one.name, profile_depth=one.profile_depth)


def _require_types(where: str, value: object) -> None:
    """Raises ReportError unless all fields of a dataclass have the types of their annotations."""
    for name, hint in typing.get_type_hints(type(value)).items():
        if not is_of(found := getattr(value, name), hint):
            raise ReportError(where, f"{name} must be {text_of(hint)}, not {found!r:.80}")


def _require_profile(where: str, profile: Profile) -> None:
    """Raises ReportError where a row has other types, or cycles are not by the classes that there are."""
    for row in profile.rows:
        _require_types(where, row)
    for classes in (*(row.classes for row in profile.rows if row.is_matrix), profile.tail):
        if set(classes) != set(PROFILE_CLASSES):
            raise ReportError(where, f"cycles must be by {', '.join(PROFILE_CLASSES)}, not {', '.join(classes)!r:.80}")


def _part(values: Mapping[str, Any]) -> PartRun:
    profile = values["profile"]
    return PartRun(**{**values, "profile": None if profile is None else Profile.from_dict(profile)})
