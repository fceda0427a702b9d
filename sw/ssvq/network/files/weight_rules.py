"""Which weights of a graph are stored how: rules as commands take them, and layers from a container."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from ssvq.network import operators as ops
from ssvq.network.compression import INT8, compress_graph, default_choice, is_depthwise
from ssvq.network.errors import GraphError
from ssvq.network.graph import Graph, Node
from ssvq.quantize.formats import QuantizeConfig, WeightFormat
from ssvq.quantize.layer import CompressedLayer
from ssvq.quantize.rules import Rule

DEFAULT_SIZE, DEFAULT_DIM = 16, 8
LAYERS = (ops.Linear, ops.Conv2d, ops.ConvTranspose2d)
_FORM = "PATTERN=FORMAT[:CODEBOOK_SIZE:VECTOR_DIM[:KEEP:GROUP]]"


def weights_of(text: str, *, seed: int = 0) -> QuantizeConfig:
    """Settings as `ssvq:16:8`, `int8` or `mvq:16:8:2:4` say them; formats with a codebook have 16 and 8 by default.

    Raises:
        ValueError: another form, an unknown format, sizes that a format does not have.
    """
    name, *sizes = text.split(":")
    known = {format.value: format for format in WeightFormat}
    if name not in known or len(sizes) not in (0, 2, 4) or not all(size.isdecimal() for size in sizes):
        raise ValueError(f"weights must be FORMAT[:SIZE:DIM[:KEEP:GROUP]], FORMAT of {', '.join(known)}, not {text!r}")
    numbers = dict(zip(("codebook_size", "vector_dim", "keep", "group"), map(int, sizes), strict=False))
    return quantize_config(known[name], seed=seed, **numbers)


def quantize_config(
    format: WeightFormat, *, codebook_size: int | None = None, vector_dim: int | None = None, **more: Any
) -> QuantizeConfig:
    """Settings of a format, with the default sizes of a codebook where it has one. Raises ValueError."""
    if format.has_codebook:
        codebook_size = DEFAULT_SIZE if codebook_size is None else codebook_size
        vector_dim = DEFAULT_DIM if vector_dim is None else vector_dim
    return QuantizeConfig(format=format, codebook_size=codebook_size, vector_dim=vector_dim, **more)


def parse_rule(text: str, *, seed: int = 0) -> Rule[QuantizeConfig]:
    """A rule as `head=int8` or `blocks.*.mlp.*=ssvq:256:4` says it. Raises ValueError for another form."""
    pattern, equals, weights = text.rpartition("=")
    if not equals or not pattern:
        raise ValueError(f"a rule must be {_FORM}, not {text!r}")
    return Rule(pattern=pattern, config=weights_of(weights, seed=seed))


def layer_nodes(graph: Graph) -> tuple[Node, ...]:
    """The nodes that `compress_graph` makes layers of."""
    return tuple(node for node in graph.nodes if isinstance(node.operator, LAYERS))


@dataclass(frozen=True, kw_only=True)
class WeightRules:
    """The first rule whose pattern matches a node's name decides; the default is for all others.

    What the default has no use for is int8, see `default_choice`.
    """

    default: QuantizeConfig
    rules: tuple[Rule[QuantizeConfig], ...] = ()

    def choose(self, graph: Graph, node: Node) -> QuantizeConfig:
        """Settings of a node's weights."""
        for rule in self.rules:
            if rule.config is not None and fnmatchcase(node.name, rule.pattern):
                return rule.config
        return INT8 if is_depthwise(graph, node) else default_choice(graph, self.default)(node)

    def note(self, graph: Graph) -> str | None:
        """One line on the layers that are int8 although no rule says so and the default is another; None without."""
        if not self.default.format.has_codebook:
            return None
        ruled = [rule.pattern for rule in self.rules if rule.config is not None]
        nodes = [node for node in layer_nodes(graph) if not any(fnmatchcase(node.name, rule) for rule in ruled)]
        names = [node.name for node in nodes if self.choose(graph, node) == INT8]
        rule = "a codebook needs inputs that vector_dim divides, and as many subvectors as codewords; none in depthwise"
        return f"int8 in place of {self.default.format.value}: {_some(names)} ({rule})" if names else None

    def check(self, names: Sequence[str]) -> None:
        """Raises ValueError where a rule decides about none of the layers of these names."""
        left = list(names)
        for rule in self.rules:
            matched = [name for name in left if fnmatchcase(name, rule.pattern)]
            if not matched:
                shadowed = any(fnmatchcase(name, rule.pattern) for name in names)
                why = "matches only layers that earlier rules decide" if shadowed else "matches no layer"
                raise ValueError(f"rule {rule.pattern!r} {why}; layers are {_some(names)}")
            left = [name for name in left if name not in matched]


def compress_with(
    graph: Graph, rules: WeightRules, *, on_layer: Callable[[str], None] = lambda name: None
) -> dict[str, CompressedLayer]:
    """The compressed layers of a graph by node.

    Args:
        graph: a network, or what of it is for the core.
        rules: of its layers.
        on_layer: called with each name before its layer is compressed.

    Raises:
        ValueError: a rule decides about no layer, or a layer cannot be compressed; the text names it.
    """
    rules.check([node.name for node in layer_nodes(graph)])

    def choose(node: Node) -> QuantizeConfig:
        on_layer(node.name)
        return rules.choose(graph, node)

    return compress_graph(graph, choose)


def stored_layers(graph: Graph, container: Mapping[str, CompressedLayer]) -> dict[str, CompressedLayer]:
    """The layers of a graph's nodes from a container, whose names are those of nodes or of modules.

    Raises:
        GraphError: a node's layer is missing, or is of other weights, or lacks the batch norm that the node took in.
    """
    found: dict[str, CompressedLayer] = {}
    for node in layer_nodes(graph):
        layer = container.get(node.name, container.get(node.module or ""))
        if layer is None:
            raise GraphError(node.name, f"the container must have its layer; it has {_some(list(container))}")
        wanted = graph.type_of(node.operands[1])
        if layer.weight_count != wanted.size:
            raise GraphError(node.name, f"its layer must have weights of {wanted.shape}, not {layer.weight_shape}")
        if (layer.bias is None) != (len(node.operands) < 3):
            what = f"the batch norms {', '.join(node.folded)} taken in" if node.folded else "the bias of the node"
            raise GraphError(node.name, f"its layer must have {what}, or none where the node has none")
        found[node.name] = replace(layer, name=node.name)
    return found


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:4])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > 4 else shown or "none"
