"""`python -m ssvq_gen.packaging CONFIG ...`: release archives of cores that `make verilog` has written."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.table import Table

from ..command import output_argument, reports_errors, table_console
from ..config import PRESETS, CoreConfig
from ..files import write_whole
from .archive import SUMS_FILE, ArchiveError, content, packed, sums

_DISTRIBUTION = "ssvq-core"
_FOLDER = "dist"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog="ssvq_gen.packaging",
        description="Pack the Verilog, header, documentation, packaging files and driver of cores into .tar.gz files "
        "with their sums. The same files give the same bytes.",
    )
    result.add_argument("config", nargs="*", help=f"presets or TOML files (default: {' '.join(PRESETS)})")
    output_argument(result)
    result.add_argument("--project", type=Path, default=Path(), help="the project's folder (default: this one)")
    return result


def release() -> str:
    """The project's version. Raises ArchiveError when it is not installed."""
    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        raise ArchiveError(f"{_DISTRIBUTION} is not installed, so its version is not known: run make setup") from None


@reports_errors(ArchiveError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 when all archives are written, 2 with one line when something is missing: then none is."""
    options = parser().parse_args(arguments)
    stem = f"{_DISTRIBUTION}-{release()}"
    configs = [CoreConfig.load(name) for name in options.config] or list(PRESETS.values())
    contents = {f"{stem}-{c.name}": content(options.output / c.name, options.project) for c in configs}
    archives = {f"{name}.tar.gz": packed(files, name) for name, files in contents.items()}
    folder = options.output / _FOLDER
    for name, data in archives.items():
        write_whole(folder / name, data)
    write_whole(folder / SUMS_FILE, sums(archives))
    table = Table("archive", "files", "bytes", title=str(folder), title_justify="left")
    for (name, data), files in zip(archives.items(), contents.values(), strict=True):
        table.add_row(name, str(len(files)), f"{len(data):,}")
    table_console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
