"""Release archives: the same bytes whenever they are made from the same files."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..verilog import CELL_MODEL_NAMES, TOP
from .constraints import EXAMPLES
from .fusesoc import CORE_FILE, WAIVER_FILE, YOSYS_COMMAND
from .simulation import EXPECTED_FILE, MEMORY_FILE, PARAMETERS_FILE, TEST_BENCH_FILE
from .vivado import SCRIPT_FILE, WRAPPER_FILE

SUMS_FILE = "SHA256SUMS"
_MODE, _EXECUTABLE_MODE = 0o644, 0o755


class ArchiveError(ValueError):
    """What an archive has to hold is not there; the message names it and the remedy."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Files that an archive takes.

    source : pattern of paths, relative to the core's folder or, when `of_project`, to the project's
    target : folder in the archive; "" is its top
    required : without a match there is no archive
    of_project : taken from the project and not from the core's folder
    """

    source: str
    target: str = ""
    required: bool = True
    of_project: bool = False


CONTENT: tuple[Rule, ...] = (
    Rule(source=f"{TOP}.v"),
    Rule(source=f"{TOP}.h"),
    Rule(source=f"{TOP}.rdl"),
    Rule(source=CORE_FILE),
    Rule(source=WAIVER_FILE),
    Rule(source="manifest.json"),
    Rule(source="registers.md"),
    Rule(source="formats.md"),
    *(Rule(source=name, target="sim") for name in (TEST_BENCH_FILE, PARAMETERS_FILE, MEMORY_FILE, EXPECTED_FILE)),
    *(Rule(source=f"sim/{name}", target="sim", required=False) for name in CELL_MODEL_NAMES),
    Rule(source=YOSYS_COMMAND, target="synth"),
    Rule(source="synth/*.ys", target="synth"),
    Rule(source=SCRIPT_FILE, target="vivado"),
    Rule(source=WRAPPER_FILE, target="vivado"),
    *(Rule(source=name, target="constraints") for name in EXAMPLES),
    Rule(source="LICENSE", of_project=True),
    Rule(source="CHANGELOG.md", of_project=True),
    Rule(source="docs/*.md", target="docs", of_project=True),
    Rule(source="integration/litex/*.py", target="integration/litex", of_project=True),
    Rule(source="integration/litex/*.v", target="integration/litex", of_project=True),
    Rule(source="sw/c/**/*", target="sw/c", required=False, of_project=True),
)
"""What is in every archive. Folders below a pattern with ** are kept; hidden and built files are left out."""

_LEFT_OUT = {".o", ".a", ".so", ".pyc", ".d"}


def content(core: Path, project: Path) -> dict[str, bytes]:
    """Bytes of each file by its path in the archive, with the sums of all others as the last.

    Raises ArchiveError when a required file is not there.
    """
    found: dict[str, bytes] = {}
    for rule in CONTENT:
        root = project if rule.of_project else core
        paths = [path for path in sorted(root.glob(rule.source)) if path.is_file() and _is_kept(path.relative_to(root))]
        if rule.required and not paths:
            remedy = "run from the project's folder" if rule.of_project else f"run make verilog CONFIG={core.name}"
            raise ArchiveError(f"{root / rule.source} is not there: {remedy}")
        base = rule.source.partition("**")[0] if "**" in rule.source else f"{Path(rule.source).parent}/"
        for path in paths:
            name = path.relative_to(root / base).as_posix()
            found[f"{rule.target}/{name}" if rule.target else name] = path.read_bytes()
    ordered = dict(sorted(found.items()))
    return {**ordered, SUMS_FILE: sums(ordered).encode()}


def _is_kept(path: Path) -> bool:
    hidden = any(part.startswith(".") or part in ("__pycache__", "build") for part in path.parts)
    return not hidden and path.suffix not in _LEFT_OUT


def sums(files: Mapping[str, bytes]) -> str:
    """Lines that `sha256sum --check` reads."""
    return "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items())


def packed(files: Mapping[str, bytes], folder: str) -> bytes:
    """A .tar.gz of files in one folder: no time, no user, in the given order."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(data)
            member.mode = _EXECUTABLE_MODE if name.endswith(".sh") else _MODE
            archive.addfile(member, io.BytesIO(data))
    return gzip.compress(tar.getvalue(), compresslevel=9, mtime=0)
