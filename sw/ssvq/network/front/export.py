"""Modules as programs of ATen's operations."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx import Node as FxNode

from ssvq.network.errors import GraphError
from ssvq.network.front.aten import DECOMPOSED


@contextmanager
def evaluation(model: nn.Module) -> Iterator[None]:
    """The model is in evaluation mode inside, and each of its modules in its own mode afterwards."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def exported(model: nn.Module, example_inputs: tuple[Tensor, ...]) -> ExportedProgram:
    """The model in ATen's operations without those that write in place, composite ones kept but for `DECOMPOSED`.

    Raises:
        GraphError: torch.export refuses the model.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch.export about its own workings
            program = torch.export.export(model, example_inputs, strict=False)
            if not any(_is_decomposed(node) for node in program.graph.nodes):
                return program  # decomposition, even of nothing, takes as long as all the rest
            known = dict(torch.export.default_decompositions())
            table = {operation: known[operation] for operation in known if short_name(operation) in DECOMPOSED}
            decomposed: ExportedProgram = program.run_decompositions(table)
            return decomposed
    except Exception as error:  # torch.export has no common exception class
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        where = _module_of(error, model) or type(model).__name__
        problem = f"torch.export must accept the model; it says: {reason} (docs/networks.md lists the operators)"
        raise GraphError(where, problem) from error


def _module_of(error: BaseException, model: nn.Module) -> str:
    """The full name of the innermost module that was being called; "" for the model itself, or where none was."""
    names = {id(module): name for name, module in model.named_modules()}
    while error.__cause__ is not None:
        error = error.__cause__
    called = (frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__))
    return next((names[id(own)] for own in reversed(list(called)) if id(own) in names), "")


def _is_decomposed(node: FxNode) -> bool:
    """Whether a node is an operation that writes in place or is one of `DECOMPOSED`."""
    if not isinstance(node.target, torch._ops.OpOverload):
        return False
    return bool(node.target._schema.is_mutable) or short_name(node.target) in DECOMPOSED


def short_name(operation: Any) -> str:
    """Of an ATen operation, without its overload."""
    return str(operation._schema.name).partition("::")[2]
