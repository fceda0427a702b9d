"""The files of a Debian package in a folder of ours, without installing it: needs no root."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ssvq.data.errors import MissingDataError

PACKAGE_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")
"""Debian policy, section 5.6.1."""


def cache_folder() -> Path:
    """Where fetched data is kept: the environment variable SSVQ_DATA, else `build/data` in the working directory."""
    return Path(os.environ.get("SSVQ_DATA") or "build/data")


def debian_package(name: str, *, folder: Path | None = None) -> Path:
    """The folder with a package's files as they would lie under `/`; fetched if it is not there yet.

    It appears only when it is complete, so an interrupted or concurrent call does no harm.

    Args:
        name: of the package, of the release that the machine's package lists describe.
        folder: cache; `cache_folder()` if None.

    Raises:
        ValueError: not a package's name.
        MissingDataError: it is not there and cannot be fetched.
    """
    if not PACKAGE_NAME.fullmatch(name):
        raise ValueError(f"name must be that of a Debian package, such as wordnet-base, not {name!r}")
    folder = cache_folder() if folder is None else folder
    root = folder / name
    if root.is_dir():
        return root
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise MissingDataError(
                f"there is no {program} to fetch Debian package {name} with; "
                f"extract the package's files to {root} by other means"
            )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder) as scratch:
        _run(name, ["apt-get", "download", name], scratch)
        archives = list(Path(scratch).glob("*.deb"))
        if len(archives) != 1:
            raise MissingDataError(f"apt-get download {name} must give one .deb file, not {len(archives)}")
        files = Path(scratch, "files")
        _run(name, ["dpkg-deb", "-x", str(archives[0].resolve()), str(files.resolve())], scratch)
        try:
            files.rename(root)
        except OSError:
            if not root.is_dir():  # else another process was first, with the same files
                raise
    return root


def _run(name: str, command: Sequence[str], folder: str) -> None:
    """Run a command in a folder; its messages, which are few, go into the error."""
    # apt translates its messages, and the text is looked at
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if done.returncode == 0:
        return
    said = " ".join(line for line in done.stderr.split("\n") if line.startswith(("E:", "dpkg-deb:")))
    remedy = "; run: sudo apt-get update" if command[0] == "apt-get" else ""
    raise MissingDataError(f"cannot fetch Debian package {name}: {said or f'exit code {done.returncode}'}{remedy}")
