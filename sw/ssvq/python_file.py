"""Functions of a user's Python file, as the command line names them: PATH.py:FUNCTION."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path


class PythonFileError(ValueError):
    """No function can be taken from where the text says; the message names the value and the rule."""


def function_of(place: str, *, what: str) -> Callable[..., object]:
    """A function of a file, which runs for it, once for each call.

    Args:
        place: PATH.py:FUNCTION.
        what: is asked for, in messages, such as `model`.

    Raises:
        PythonFileError: the place is not written so, or there is no such file or function.
    """
    file, _, function = place.rpartition(":")
    path = Path(file)
    if path.suffix != ".py" or not function.isidentifier():
        raise PythonFileError(f"{what} must be file:PATH.py:FUNCTION, not {f'file:{place}'!r}")
    if not path.is_file():
        raise PythonFileError(f"the {what}'s file must exist, not {str(path)!r}")
    # a name that no other file has, since classes in it are looked up by the module's name
    name = f"ssvq_file_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PythonFileError(f"the {what}'s file must be a Python module, not {str(path)!r}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.resolve().parent))  # as Python does for a script: the file may import its neighbours
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.path.remove(str(path.resolve().parent))
    found: object = getattr(module, function, None)
    if not callable(found):
        raise PythonFileError(f"{path} must have a function {function!r}")
    return found
