"""Compression of a whole model by rules, with a report for every layer."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from torch import Tensor, nn

from ssvq.quantize.description import LayerKind, canonical_weight
from ssvq.quantize.encode import encode, sqnr_db
from ssvq.quantize.formats import QuantizeConfig, WeightFormat
from ssvq.quantize.layer import CompressedLayer
from ssvq.quantize.rules import Layer, Rule, select_layers
from ssvq.quantize.storage import Storage


@dataclass(frozen=True, kw_only=True)
class LayerReport:
    """What compression did to one layer.

    Attributes:
        name, kind, format, weight_count: as in `CompressedLayer`.
        storage: bits of every part.
        bits_per_weight: all bits, with codebook, scales and padding, for each weight.
        sqnr_db: signal to quantization noise ratio; infinite when the weights are exact.
        seconds: time to encode.
    """

    name: str
    kind: LayerKind
    format: WeightFormat
    weight_count: int
    storage: Storage
    bits_per_weight: float
    sqnr_db: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class CompressionResult:
    """The compressed layers by name, and one report for each in the same order."""

    layers: dict[str, CompressedLayer]
    reports: tuple[LayerReport, ...]

    @property
    def bits_per_weight(self) -> float:
        """All bits of all compressed layers for each of their weights."""
        return sum(report.storage.total for report in self.reports) / sum(r.weight_count for r in self.reports)

    def table(self) -> Table:
        """The reports as a table for a terminal."""
        table = Table(title="Compressed layers")
        table.add_column("layer", overflow="fold")
        table.add_column("format")
        for heading in ("weights", "bits/weight", "codebook", "scales", "padding", "SQNR dB", "seconds"):
            table.add_column(heading, justify="right")
        for report in self.reports:
            count, storage = report.weight_count, report.storage
            parts = [f"{bits / count:.3f}" for bits in (storage.codebook, storage.scales, storage.padding)]
            figures = (f"{report.sqnr_db:.2f}", f"{report.seconds:.2f}")
            table.add_row(
                report.name, report.format.value, f"{count:,}", f"{report.bits_per_weight:.3f}", *parts, *figures
            )
        return table


def encode_module(
    module: Layer, config: QuantizeConfig, importance: Tensor | None = None, *, name: str = "layer"
) -> CompressedLayer:
    """`encode` the weights of a layer, with its bias and, for a convolution, its geometry.

    Raises:
        ValueError: as `encode`, or a convolution whose stride, padding or dilation differs between the two directions
            or that does not pad with zeros.
    """
    if isinstance(module, nn.Linear):
        return encode(module.weight, config, importance, bias=module.bias, name=name)
    if module.padding_mode != "zeros":
        raise ValueError(f"{name}: padding_mode must be 'zeros', not {module.padding_mode!r}")
    kind: LayerKind = "conv_transpose2d" if isinstance(module, nn.ConvTranspose2d) else "conv2d"
    geometry = {}
    for field in ("stride", "padding", "dilation", "output_padding"):
        value = getattr(module, field)
        if value == "valid":
            value = (0, 0)
        elif value == "same":
            reach = [step * (size - 1) for step, size in zip(module.dilation, module.kernel_size, strict=True)]
            if any(total % 2 for total in reach):
                raise ValueError(f"{name}: padding 'same' must be even on both sides, kernel {module.kernel_size}")
            value = tuple(total // 2 for total in reach)
        if value[0] != value[1]:
            raise ValueError(f"{name}: {field} must be the same in both directions, not {value}")
        geometry[field] = int(value[0])
    weight = canonical_weight(module.weight, kind, module.groups)
    return encode(weight, config, importance, bias=module.bias, name=name, kind=kind, groups=module.groups, **geometry)


def compress_model(
    model: nn.Module,
    rules: Sequence[Rule[QuantizeConfig]],
    importance: Mapping[str, Tensor] | None = None,
    *,
    progress: bool = True,
    console: Console | None = None,
) -> CompressionResult:
    """Compress the linear and convolution layers of a model. The model is left as it is.

    Args:
        model: any module; its `nn.Linear`, `nn.Conv2d` and `nn.ConvTranspose2d` submodules are the candidates.
        rules: the first rule whose pattern matches a layer's name decides; a layer that none matches is left out.
        importance: of the layers by name, as in `encode`; the weights of a layer without an entry count alike.
        progress: show a progress bar.
        console: where to draw it; the standard one when None.

    Raises:
        ValueError: a rule decides about no layer, `importance` names a layer that is not compressed, or a layer cannot
            be compressed; the text names the rule or layer.
    """
    chosen = select_layers(model, rules)
    return compress_layers(
        {name: module for name, (module, _) in chosen.items()},
        {name: config for name, (_, config) in chosen.items()},
        importance,
        progress=progress,
        console=console,
    )


def compress_layers(
    modules: Mapping[str, Layer],
    configs: Mapping[str, QuantizeConfig],
    importance: Mapping[str, Tensor] | None = None,
    *,
    progress: bool = True,
    console: Console | None = None,
) -> CompressionResult:
    """Compress layers, each with its settings of the same name; arguments and errors as of `compress_model`."""
    importance = importance or {}
    for name in importance:
        if name not in modules:
            raise ValueError(f"importance is given for {name!r}, which is no layer to compress")
    layers: dict[str, CompressedLayer] = {}
    reports: list[LayerReport] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not progress) as bar:
        task = bar.add_task("compress", total=len(modules))
        for name, module in modules.items():
            bar.update(task, description=name)
            start = time.perf_counter()
            layer = encode_module(module, configs[name], importance.get(name), name=name)
            seconds = time.perf_counter() - start
            layers[name] = layer
            reports.append(_report(layer, sqnr_db(module.weight, layer.module_weight()), seconds))
            bar.advance(task)
    return CompressionResult(layers=layers, reports=tuple(reports))


def _report(layer: CompressedLayer, sqnr: float, seconds: float) -> LayerReport:
    return LayerReport(
        name=layer.name,
        kind=layer.kind,
        format=layer.format,
        weight_count=layer.weight_count,
        storage=layer.storage,
        bits_per_weight=layer.bits_per_weight,
        sqnr_db=sqnr,
        seconds=seconds,
    )
