"""Ranges of activations that were trained together with the weights, in place of those of samples."""

from __future__ import annotations

from collections.abc import Mapping

from ssvq.network import operators as ops
from ssvq.network.calibration import ValueRange
from ssvq.network.graph import Graph, Node
from ssvq.network.integer.value_scales import MOVING, storage_groups
from ssvq.quantize.layer import CompressedLayer
from ssvq.reference import ActivationScale
from ssvq_gen.arithmetic import ACTIVATION_MAX, ACTIVATION_MIN


def with_stored_ranges(
    graph: Graph, ranges: Mapping[str, ValueRange], layers: Mapping[str, CompressedLayer]
) -> dict[str, ValueRange]:
    """The ranges, in which what a layer reads and writes has the layer's own where it has activation scales.

    Values that movement joins have one range: of such a group, what was trained counts in place of what samples say.
    Of an output with a scale for each channel all channels have the largest.

    Args:
        graph: a network.
        ranges: of all its values, from `calibrate`.
        layers: by node; those of `ssvq train` have scales, those of `ssvq compress` have none.
    """
    trained = _trained(graph, layers)
    groups = storage_groups(graph)
    moved = {node.name for node in graph.nodes if isinstance(node.operator, MOVING)}
    decided = {groups.of(name) for name in trained}
    joined: dict[str, ValueRange] = {}
    for name, own in ranges.items():
        group = groups.of(name)
        if group in decided and (name in trained or name not in moved):
            counts = trained.get(name, own)
            joined[group] = counts.union(joined[group]) if group in joined else counts
    return {
        name: _within(own, joined[groups.of(name)]) if groups.of(name) in joined else own
        for name, own in ranges.items()
    }


def _trained(graph: Graph, layers: Mapping[str, CompressedLayer]) -> dict[str, ValueRange]:
    """Ranges of what layers read and write, clamps included, by value."""
    found: dict[str, ValueRange] = {}
    for node in graph.nodes:
        layer = layers.get(node.name)
        if layer is None or layer.input_scale is None or layer.output_scale is None:
            continue
        written = node.name if layer.activation == "none" else _clamped(graph, node)
        for name, scale in ((node.operands[0], layer.input_scale), (written, layer.output_scale)):
            own = _range(scale)
            found[name] = own.union(found[name]) if name in found else own
    return found


def _clamped(graph: Graph, node: Node) -> str:
    user = graph.only_user(node.name)
    return user.name if user is not None and isinstance(user.operator, ops.Clamp) else node.name


def _range(scale: ActivationScale) -> ValueRange:
    step = scale.scale * max(scale.gains, default=1.0)
    return ValueRange(low=(ACTIVATION_MIN - scale.zero_point) * step, high=(ACTIVATION_MAX - scale.zero_point) * step)


def _within(own: ValueRange, wanted: ValueRange) -> ValueRange:
    """The wanted range, and of each channel's reach what is in it."""
    bound = max(abs(wanted.low), abs(wanted.high))
    return ValueRange(low=wanted.low, high=wanted.high, reach=tuple(min(reach, bound) for reach in own.reach))
