"""Calibration: ranges of activations, and how much errors of weights matter, from a few batches of inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from ssvq.quantize.rules import Layer
from ssvq.train.prepare import quantizers
from ssvq.train.ranges import RangeObserver

Batch = TypeVar("Batch")


@torch.no_grad()
def calibrate(model: nn.Module, batches: Iterable[Batch], run: Callable[[nn.Module, Batch], object]) -> None:
    """Give every activation quantizer of a prepared model the range of what it sees, in place.

    While it looks, activations are in floating point and weights are as prepared. The model runs in evaluation mode.

    Args:
        model: a prepared model; its mode is restored.
        batches: inputs, a few hundred samples are enough.
        run: calls the model with a batch, as `lambda model, batch: model(batch)`.

    Raises:
        ValueError: an activation is not finite or a quantizer was never reached; the text names it, and no range has
            changed.
    """
    found = quantizers(model)
    for name, quantizer in found.items():
        quantizer.observer = RangeObserver(name, axis=None if quantizer.channels is None else quantizer.channels.axis)
    training = model.training
    try:
        model.eval()
        for batch in batches:
            run(model, batch)
        scales = {
            name: q.observer.choose(q.config.range, symmetric=q.config.symmetric)
            for name, q in found.items()
            if q.observer is not None
        }
    finally:
        model.train(training)
        for quantizer in found.values():
            quantizer.observer = None
    for name, scale in scales.items():
        found[name].set_range(scale)


@torch.no_grad()
def second_moments(
    model: nn.Module,
    layers: Mapping[str, Layer],
    batches: Iterable[Batch],
    run: Callable[[nn.Module, Batch], object],
) -> dict[str, Tensor]:
    """Mean square of every input channel of the layers, the importance of the weights that read it.

    Args:
        model: the float model; runs in evaluation mode, its mode is restored.
        layers: submodules of the model, by name.
        batches, run: as for `calibrate`.

    Returns:
        By layer name, float32 (K,), K the input channels of one group, averaged over groups.

    Raises:
        ValueError: a layer was never reached, or a moment is not finite; the text names it.
    """
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}

    def observe(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(layer: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            x = arguments[0].detach()
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                x = x.reshape(x.shape[0], layer.groups, -1, *x.shape[2:]).movedim(2, -1)
            squares = x.flatten(0, -2).to(torch.float64).square()
            sums[name] = sums.get(name, torch.zeros(())) + squares.sum(0).cpu()
            counts[name] = counts.get(name, 0) + squares.shape[0]

        return hook

    handles = [layer.register_forward_pre_hook(observe(name)) for name, layer in layers.items()]
    training = model.training
    try:
        model.eval()
        for batch in batches:
            run(model, batch)
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    moments: dict[str, Tensor] = {}
    for name in layers:
        if name not in sums:
            raise ValueError(f"{name}: the batches never reach the layer")
        moments[name] = (sums[name] / counts[name]).to(torch.float32)
        if not bool(torch.isfinite(moments[name]).all()):
            raise ValueError(f"{name}: activations must be finite")
    return moments
