"""Hidden states: what the blocks of a student give is compared with what the same blocks of its teacher give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

from ssvq.train.tasks.task import unwrapped


def hidden_layers(model: nn.Module) -> tuple[str, ...]:
    """Names of a model's blocks: modules whose name ends with a number, and which are in no other such module.

    They are `blocks.3` of a ViT, `encoder.layer.3` of a text encoder, `layer2.0` of a ResNet.
    """
    found = []
    for name, _ in unwrapped(model).named_modules():
        *outer, last = name.split(".")
        inside = any(part.isdecimal() or part == "parametrizations" for part in outer)
        if last.isdecimal() and not inside:
            found.append(name)
    return tuple(found)


@contextmanager
def outputs_of(model: nn.Module, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """While active, the named modules' latest outputs."""
    found: dict[str, Tensor] = {}
    handles = [
        unwrapped(model)
        .get_submodule(name)
        .register_forward_hook(lambda _module, _arguments, output, name=name: found.__setitem__(name, output))
        for name in names
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def relative_error(states: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """(B,): squared error of a sample's states over the square of the teacher's.

    Args:
        states, targets: (B, ...), or (B, T, W) with a mask.
        mask: bool (B, T), False for tokens that do not count.
    """

    def size(values: Tensor) -> Tensor:
        squares = values.square()
        return squares.flatten(1).sum(1) if mask is None else (squares.sum(2) * mask).sum(1)

    targets = targets.detach()
    return size(states - targets) / size(targets)
