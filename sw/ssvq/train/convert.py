"""From a trained model to the compressed layers that are stored and run."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import nn

from ssvq.quantize.layer import CompressedLayer
from ssvq.train.activations import ActivationQuantizer
from ssvq.train.integer_model import integer_model
from ssvq.train.prepare import INPUT, OUTPUT, original_tensor, prepared_layers, weight_form


@dataclass(frozen=True, kw_only=True, eq=False)
class Converted:
    """A trained model as it is stored and as it runs.

    Attributes:
        layers: the compressed layers by name, for `ssvq.container.save` and `ssvq.compile`.
        model: the model with these layers in integer arithmetic, for inference.
    """

    layers: dict[str, CompressedLayer]
    model: nn.Module

    @property
    def bits_per_weight(self) -> float:
        """Stored bits of the weights of all layers for each of their weights."""
        layers = self.layers.values()
        return sum(layer.storage_bits for layer in layers) / sum(layer.weight_count for layer in layers)


def compressed_layers(model: nn.Module) -> dict[str, CompressedLayer]:
    """The compressed layers of a prepared model at its current values, by name; the model is left as it is.

    Raises:
        ValueError: no layer is prepared, a value is not finite, or activations are quantized and have no range yet.
    """
    layers: dict[str, CompressedLayer] = {}
    for name, module in prepared_layers(model).items():
        try:
            layer = weight_form(module).compress(original_tensor(module))
            bias = None if module.bias is None else module.bias.detach().cpu().float().clone()
            before, behind = getattr(module, INPUT, None), getattr(module, OUTPUT, None)
            if isinstance(before, ActivationQuantizer) and isinstance(behind, ActivationQuantizer):
                layer = replace(
                    layer,
                    input_scale=before.activation_scale(),
                    output_scale=behind.activation_scale(),
                    activation=behind.activation,
                )
            layers[name] = replace(layer, bias=bias)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    if not layers:
        raise ValueError(f"{type(model).__name__} has no prepared layer")
    return layers


def convert(model: nn.Module) -> Converted:
    """Compressed layers and integer model of a prepared, calibrated and trained model, which is left as it is.

    The integers of the layers' weights are those that training used, bit for bit. An integer layer's output differs
    from the trained layer's by at most one step of its output scale (half a step and half a unit of the accumulator,
    where that is larger than a step), and only by the rounding of biases and of the multiplier's 12-bit mantissa, and
    of float32 sums in training.

    Raises:
        ValueError: as `compressed_layers`.
        CompileError: the numbers of a layer do not fit the core's arithmetic.
    """
    layers = compressed_layers(model)
    return Converted(layers=layers, model=integer_model(model, layers))
