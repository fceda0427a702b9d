"""A component with a bug in it: a line of its source is replaced."""

import inspect
import sys
from types import ModuleType
from typing import Any


def broken(component: Any, right: str, wrong: str) -> Any:
    """The class (or function) `component` of a module in which `right`, which is there once, has become `wrong`."""
    module = sys.modules[component.__module__]
    source = inspect.getsource(module)
    assert source.count(right) == 1, f"{right!r} is {source.count(right)} times in {module.__name__}"
    changed = ModuleType(module.__name__)
    changed.__dict__.update(__package__=module.__package__, __file__=module.__file__)
    exec(compile(source.replace(right, wrong), str(module.__file__), "exec"), changed.__dict__)
    return getattr(changed, component.__name__)
