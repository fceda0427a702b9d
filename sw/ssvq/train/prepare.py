"""Turning the layers of a model into their trainable compressed form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import cast

from rich.console import Console
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ssvq.quantize.formats import QuantizeConfig, WeightFormat
from ssvq.quantize.layer import Activation, CompressedLayer
from ssvq.quantize.model import CompressionResult, compress_layers
from ssvq.quantize.rules import ROOT_NAME, Layer, Rule, select_layers
from ssvq.train.activations import ActivationConfig, ActivationQuantizer, Channels
from ssvq.train.codebook_weight import CodebookWeight
from ssvq.train.folding import FoldedNorm, Norm, folded
from ssvq.train.parametrization import WeightParametrization
from ssvq.train.ssvq_weight import SsvqWeight
from ssvq.train.uniform_weight import FlexRoundWeight, LearnedStepWeight
from ssvq.train.wiring import Wiring, trace_wiring

INPUT, OUTPUT = "input_quantizer", "output_quantizer"
"""Names of the submodules that a prepared layer gets."""


class Rounding(StrEnum):
    """What learns in a uniformly quantized weight: the weight and its step (LSQ), or the rounding (FlexRound)."""

    LEARNED_STEP = "learned_step"
    FLEXROUND = "flexround"


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What one layer becomes.

    Attributes:
        weights: format of the weights and settings of the encoder that training starts from.
        activations: int8 inputs and outputs; None leaves them in floating point.
        alpha: latent sign value of a weight of 1; SSVQ only.
        learn_signs, learn_codebook, learn_scale: what receives gradients.
        rounding: what learns in a uniform format.
        pad: whether input channels that `vector_dim` does not divide are padded with zeros, which are stored; without
            it they are an error.
    """

    weights: QuantizeConfig
    activations: ActivationConfig | None = field(default_factory=ActivationConfig)
    alpha: float = 1.0
    learn_signs: bool = True
    learn_codebook: bool = True
    learn_scale: bool = True
    rounding: Rounding = Rounding.LEARNED_STEP
    pad: bool = False

    def __post_init__(self) -> None:
        if self.weights.format is WeightFormat.FLOAT:
            raise ValueError("weights: format float has nothing to train; leave the layer out of the rules")
        if not 0 < self.alpha < float("inf"):
            raise ValueError(f"alpha must be positive and finite, not {self.alpha}")


def prepare(
    model: nn.Module,
    rules: Sequence[Rule[TrainConfig]],
    *,
    example_inputs: tuple[Tensor, ...] | None = None,
    importance: Mapping[str, Tensor] | None = None,
    progress: bool = True,
    console: Console | None = None,
) -> CompressionResult:
    """Give the layers that rules choose their trainable compressed form, in place.

    Each layer's `weight` becomes a parametrization, decoded whenever it is read, and the layer gets the submodules
    `input_quantizer` and `output_quantizer`, which pass values as they are until `calibrate` has run. The model's code,
    its state dict and `torch.compile` work as before. Nothing is changed when an error is raised.

    Args:
        model: any module.
        rules: the first rule whose pattern matches a layer's name decides; a layer that none matches stays as it is.
        example_inputs: arguments of the model's `forward`. With them the model is traced: batch norms are folded into
            the layers before them, ranges take a following ReLU into account, and a layer that reads another's output
            as it is shares its range, as on the core. Without them none of that happens.
        importance: how much errors of each layer's weights count in the starting point; see `ssvq.quantize.encode`.
        progress: show a progress bar.
        console: where to draw it; the standard one when None.

    Returns:
        The compressed layers from which training starts, with a report for each.

    Raises:
        ValueError: a rule matches no layer, a layer cannot be compressed, has input channels that `vector_dim` does not
            divide, is prepared already or shares its weight with
            another module, or the model cannot be traced.
    """
    chosen = select_layers(model, rules)
    for name, (layer, config) in chosen.items():
        _require_plain(model, name, layer)
        _require_whole_vectors(name, layer, config)
    wiring: Mapping[str, Wiring] = {}
    if example_inputs is not None:
        wiring = {name or ROOT_NAME: around for name, around in trace_wiring(model, example_inputs).items()}
    norms = {name: around.batch_norm for name, around in wiring.items() if name in chosen and around.batch_norm}
    layers = {
        name: folded(layer, model.get_submodule(norms[name])) if name in norms else layer
        for name, (layer, _) in chosen.items()
    }
    configs = {name: config for name, (_, config) in chosen.items()}
    weights = {name: config.weights for name, config in configs.items()}
    result = compress_layers(layers, weights, importance=importance, progress=progress, console=console)
    for name, norm in norms.items():
        left = FoldedNorm(cast(Norm, model.get_submodule(norm)), name, moves_bias=chosen[name][0].bias is None)
        chosen[name][0].weight.data = layers[name].weight.data
        chosen[name][0].bias = layers[name].bias
        parent, _, child = norm.rpartition(".")
        setattr(model.get_submodule(parent), child, left)
    for name, (layer, config) in chosen.items():
        _parametrize(layer, result.layers[name], config)
    _add_quantizers({name: layer for name, (layer, _) in chosen.items()}, configs, wiring)
    return result


def prepared_layers(model: nn.Module) -> dict[str, Layer]:
    """The layers of a model in trainable compressed form, by name."""
    return {name or ROOT_NAME: cast(Layer, m) for name, m in model.named_modules() if _parametrization(m) is not None}


def weight_form(layer: nn.Module) -> WeightParametrization:
    """The parametrization of a prepared layer's weight.

    Raises:
        ValueError: the layer is not prepared.
    """
    form = _parametrization(layer)
    if form is None:
        raise ValueError(f"{type(layer).__name__} is not prepared")
    return form


def original_tensor(layer: nn.Module) -> nn.Parameter:
    """The main learnable tensor of a prepared layer: latent signs, codebook or float weight."""
    weight_form(layer)
    return layer.get_parameter("parametrizations.weight.original")


def latent_signs(model: nn.Module) -> dict[str, nn.Parameter]:
    """The latent signs of all SSVQ layers of a model, by layer name."""
    return {
        name: original_tensor(layer)
        for name, layer in prepared_layers(model).items()
        if isinstance(weight_form(layer), SsvqWeight)
    }


def quantizers(model: nn.Module) -> dict[str, ActivationQuantizer]:
    """The activation quantizers of a model, by name; a shared one appears once, under its first name."""
    return {name: module for name, module in model.named_modules() if isinstance(module, ActivationQuantizer)}


def remove_form(layer: nn.Module) -> None:
    """Take the trainable form and the quantizers off a layer, whose weight keeps its decoded values; in place."""
    if _parametrization(layer) is not None:
        # not remove_parametrizations, which also breaks the layer that this one was copied from: they share a class
        weight = nn.Parameter(cast(Tensor, layer.weight).detach())
        del layer._modules["parametrizations"]
        layer.__class__ = parametrize.type_before_parametrizations(layer)
        layer.register_parameter("weight", weight)
    for name, hooks, hook in (
        (INPUT, layer._forward_pre_hooks, _quantize_input),
        (OUTPUT, layer._forward_hooks, _quantize_output),
    ):
        for key in [key for key, value in hooks.items() if value is hook]:
            del hooks[key]
        if name in layer._modules:
            del layer._modules[name]


def _parametrization(module: nn.Module) -> WeightParametrization | None:
    if not parametrize.is_parametrized(module, "weight"):
        return None
    first = cast(nn.ModuleDict, module.parametrizations)["weight"][0]  # type: ignore[index]
    return first if isinstance(first, WeightParametrization) else None


def _require_plain(model: nn.Module, name: str, layer: Layer) -> None:
    if parametrize.is_parametrized(layer):
        raise ValueError(f"{name}: is parametrized already, prepare a model once")
    sharing = [
        f"{other or ROOT_NAME}.{key}"
        for other, module in model.named_modules()
        for key, parameter in module.named_parameters(recurse=False)
        if parameter is layer.weight and module is not layer
    ]
    if sharing:
        raise ValueError(f"{name}: must not share its weight with {', '.join(sharing)}; untie them or leave it out")


def _require_whole_vectors(name: str, layer: Layer, config: TrainConfig) -> None:
    channels = layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels // layer.groups
    dim = config.weights.vector_dim
    if dim is not None and channels % dim and not config.pad:
        raise ValueError(
            f"{name}: vector_dim must divide the {channels} input channels (of one group), {dim} does not; "
            "leave the layer out, or set pad = true to store the padding"
        )


def _parametrize(layer: Layer, start: CompressedLayer, config: TrainConfig) -> None:
    form: WeightParametrization
    learns = True
    if start.format is WeightFormat.SSVQ:
        form = SsvqWeight(
            start, alpha=config.alpha, learn_codebook=config.learn_codebook, learn_scale=config.learn_scale
        )
        learns = config.learn_signs
    elif start.format.has_codebook:
        form, learns = CodebookWeight(start, learn_scale=config.learn_scale), config.learn_codebook
    elif config.rounding is Rounding.FLEXROUND:
        form, learns = FlexRoundWeight(start, learn_scale=config.learn_scale), False
    else:
        form = LearnedStepWeight(start, learn_scale=config.learn_scale)
    # unsafe skips PyTorch's comparison of the weight before and after, which quantization changes on purpose
    parametrize.register_parametrization(layer, "weight", form.to(layer.weight.device), unsafe=True)
    original_tensor(layer).requires_grad_(learns)


def _add_quantizers(
    layers: Mapping[str, Layer], configs: Mapping[str, TrainConfig], wiring: Mapping[str, Wiring]
) -> None:
    """One quantizer for every tensor that a layer reads or writes."""
    found: dict[str, ActivationQuantizer] = {}
    read = {wiring[name].reads for name in layers if name in wiring and configs[name].activations is not None}
    for name, layer in layers.items():
        settings = configs[name].activations
        if settings is not None:
            around = wiring.get(name)
            writes = around.writes if around else f"{name}.{OUTPUT}"
            activation: Activation = around.activation if around else "none"
            gains = settings.output_gains and activation == "none" and writes not in read
            own = ActivationQuantizer(settings, activation=activation, channels=_channels(layer) if gains else None)
            layer.register_module(OUTPUT, found.setdefault(writes, own))
            layer.register_forward_hook(_quantize_output)
    for name, layer in layers.items():
        settings = configs[name].activations
        if settings is not None:
            around, own = wiring.get(name), ActivationQuantizer(settings)
            layer.register_module(INPUT, found.setdefault(around.reads if around else f"{name}.{INPUT}", own))
            layer.register_forward_pre_hook(_quantize_input)


def _channels(layer: Layer) -> Channels:
    """Of the layer's output."""
    if isinstance(layer, nn.Linear):
        return Channels(count=layer.out_features, axis=-1)
    return Channels(count=layer.out_channels, axis=-3)


# Functions, not bound methods: a copied or unpickled layer then uses its own quantizers.
def _quantize_input(layer: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (layer.get_submodule(INPUT)(arguments[0]), *arguments[1:])


def _quantize_output(layer: nn.Module, _arguments: tuple[Tensor, ...], output: Tensor) -> Tensor:
    quantized: Tensor = layer.get_submodule(OUTPUT)(output)
    return quantized
