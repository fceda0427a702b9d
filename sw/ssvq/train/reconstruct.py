"""Post-training reconstruction, block by block and without labels.

Each block of a compressed model learns to give what the same block of the float model gives, while its input is what
the compressed blocks before it produce (as in BRECQ, Li et al. 2021, and FlexRound, Lee et al. 2023, section 3). What
learns is whatever requires a gradient in the block: codebooks, scales and latent signs of SSVQ, or FlexRound's
divisions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from torch import Tensor, nn

Batch = TypeVar("Batch")
Run = Callable[[nn.Module, Batch], object]


class _ReachedError(Exception):
    """Ends a forward pass after the block of interest."""


@dataclass(frozen=True, kw_only=True)
class _Call:
    """One call of a block: its arguments, detached, and the tensor that it gave."""

    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    output: Tensor


def reconstruct(
    student: nn.Module,
    teacher: nn.Module,
    blocks: Sequence[str],
    batches: Sequence[Batch],
    run: Run[Batch],
    *,
    make_optimizer: Callable[[nn.Module], torch.optim.Optimizer],
    steps: int,
    seed: int = 0,
    progress: bool = True,
    console: Console | None = None,
) -> dict[str, tuple[float, float]]:
    """Fit a compressed model to its float model, block by block, in place.

    Args:
        student: a prepared model; runs in evaluation mode, its mode is restored.
        teacher: the float model.
        blocks: names of submodules in the order in which they run, each called once and giving one tensor.
        batches: inputs; a few hundred samples, whose activations at one block are held in memory.
        run: calls a model with a batch.
        make_optimizer: gets a block of the student.
        steps: of the optimiser for each block, one batch each.
        seed: of the order of the batches.
        progress: show a progress bar.
        console: where to draw it; the standard one when None.

    Returns:
        For each block its relative squared error `sum (y - t)^2 / sum t^2` before and after.

    Raises:
        ValueError: no batches, a block that does not exist, is not reached or has nothing to learn, or an error that is
            not finite; the text names the block.
    """
    if not batches:
        raise ValueError("batches must not be empty")
    for name in blocks:
        _require_block(student, teacher, name)
    training = student.training
    student.eval()
    errors: dict[str, tuple[float, float]] = {}
    order = torch.Generator().manual_seed(seed)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console, disable=not progress) as bar:
            task = bar.add_task("reconstruct", total=len(blocks) * steps)
            for name in blocks:
                bar.update(task, description=name)
                block = student.get_submodule(name)
                targets = [call.output for call in _calls(teacher, name, batches, run)]
                calls = _calls(student, name, batches, run)
                before = _relative_error([call.output for call in calls], targets)
                optimizer = make_optimizer(block)
                for _ in range(steps):
                    number = int(torch.randint(len(batches), (), generator=order))
                    _step(name, block, calls[number], targets[number], optimizer)
                    bar.advance(task)
                after = _relative_error([call.output for call in _calls(student, name, batches, run)], targets)
                errors[name] = (before, after)
    finally:
        student.train(training)
    return errors


def _require_block(student: nn.Module, teacher: nn.Module, name: str) -> None:
    for model in (student, teacher):
        if name not in dict(model.named_modules()):
            raise ValueError(f"{type(model).__name__} has no block {name!r}")
    if not any(parameter.requires_grad for parameter in student.get_submodule(name).parameters()):
        raise ValueError(f"block {name!r} has nothing to learn")


@torch.no_grad()
def _calls(model: nn.Module, name: str, batches: Sequence[Batch], run: Run[Batch]) -> list[_Call]:
    """One call of the block for each batch."""
    found: list[_Call] = []

    def keep(_block: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any], output: Any) -> None:
        if not isinstance(output, Tensor):
            raise ValueError(f"block {name!r} must give one tensor, not {type(output).__name__}")
        found.append(_Call(arguments=arguments, keywords=keywords, output=output))
        raise _ReachedError

    handle = model.get_submodule(name).register_forward_hook(keep, with_kwargs=True)
    try:
        for batch in batches:
            try:
                run(model, batch)
            except _ReachedError:
                continue
            raise ValueError(f"block {name!r} is not reached")
    finally:
        handle.remove()
    return found


def _step(name: str, block: nn.Module, call: _Call, target: Tensor, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss = (block(*call.arguments, **call.keywords) - target).square().sum() / target.square().sum()
    if not bool(torch.isfinite(loss)):
        raise ValueError(f"block {name!r}: the error must be finite, not {float(loss.detach())}")
    loss.backward()
    optimizer.step()


def _relative_error(outputs: Sequence[Tensor], targets: Sequence[Tensor]) -> float:
    error = sum(float((y - t).square().sum()) for y, t in zip(outputs, targets, strict=True))
    return error / sum(float(t.square().sum()) for t in targets)
