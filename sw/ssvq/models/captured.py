"""A layer of a model together with the activations that reach it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True, eq=False)
class CapturedLayer:
    """What a layer computes with, all float32.

    Attributes:
        name: the layer's name in its model.
        weight: (N, K) of a linear layer, (N, K, 1, 1) of a convolution.
        bias: (N,).
        inputs: (T, K): one row for each token or, of a convolution, each pixel in row-major order, image after image.
    """

    name: str
    weight: Tensor
    bias: Tensor
    inputs: Tensor


def submodules(model: nn.Module, names: Iterable[str], kind: type[nn.Module]) -> dict[str, nn.Module]:
    """The named submodules of a model.

    Raises:
        ValueError: there is no submodule of that name, or it is not of the kind.
    """
    known = dict(model.named_modules())
    found: dict[str, nn.Module] = {}
    for name in names:
        if not isinstance(known.get(name), kind):
            raise ValueError(f"{type(model).__name__} has no {kind.__name__} named {name!r}")
        found[name] = known[name]
    return found


@contextmanager
def recorded_inputs(modules: Mapping[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    """While active, keep the latest input of every module; the mapping that it yields fills as the model runs."""
    inputs: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(_module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            inputs[name] = arguments[0].detach()

        return hook

    handles = [module.register_forward_pre_hook(keep(name)) for name, module in modules.items()]
    try:
        yield inputs
    finally:
        for handle in handles:
            handle.remove()
