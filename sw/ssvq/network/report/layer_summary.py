"""What compression made of each layer of a graph, without the weights themselves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rich.table import Table

from ssvq.network.graph import Graph
from ssvq.quantize.encode import sqnr_db
from ssvq.quantize.layer import CompressedLayer

FLOAT_BITS = 32


@dataclass(frozen=True, kw_only=True)
class LayerSummary:
    """One layer.

    Attributes:
        name: of its node.
        format: of its weights, such as "ssvq".
        shape: of the weights as they are stored.
        codebook_size, vector_dim: of a format with a codebook.
        weights: how many.
        storage_bits: with codebook, scales and padding; a bias is not counted.
        sqnr_db: signal to quantization noise of the weights against the graph's; infinite where they are exact.
    """

    name: str
    format: str
    shape: tuple[int, ...]
    codebook_size: int | None
    vector_dim: int | None
    weights: int
    storage_bits: int
    sqnr_db: float

    def __post_init__(self) -> None:
        if self.weights < 1 or self.storage_bits < 0:
            raise ValueError(
                f"{self.name}: a layer must have weights, and bits, not {self.weights}, {self.storage_bits}"
            )

    @property
    def bits_per_weight(self) -> float:
        """All bits for each weight."""
        return self.storage_bits / self.weights

    @property
    def storage_bytes(self) -> int:
        """Whole bytes."""
        return -(-self.storage_bits // 8)


def summarize(graph: Graph, layers: Mapping[str, CompressedLayer]) -> tuple[LayerSummary, ...]:
    """The layers of a graph's nodes, in the graph's order."""
    return tuple(
        LayerSummary(
            name=node.name,
            format=layer.format.value,
            shape=tuple(layer.weight_shape),
            codebook_size=layer.codebook_size,
            vector_dim=layer.vector_dim,
            weights=layer.weight_count,
            storage_bits=layer.storage_bits,
            sqnr_db=_sqnr(graph, node.operands[1], layer),
        )
        for node in graph.nodes
        if (layer := layers.get(node.name)) is not None
    )


def _sqnr(graph: Graph, weight: str, layer: CompressedLayer) -> float:
    given, decoded = graph.constants[weight], layer.module_weight()
    if given.shape != decoded.shape and given.ndim == 4:
        given = given.permute(0, 2, 3, 1)
    return float(sqnr_db(given.reshape(decoded.shape), decoded))


def total_bits_per_weight(layers: Iterable[LayerSummary]) -> float:
    """Of all layers together; 0 without any."""
    rows = list(layers)
    return sum(row.storage_bits for row in rows) / max(1, sum(row.weights for row in rows))


def summary_table(layers: Iterable[LayerSummary]) -> Table:
    """A row for each layer, and a last one for all together."""
    rows = list(layers)
    bits, weights = sum(row.storage_bits for row in rows), sum(row.weights for row in rows)
    table = Table(show_footer=True)
    table.add_column("layer", footer=f"{len(rows)} layers", overflow="fold")
    table.add_column("format", footer=f"{FLOAT_BITS * weights / bits:.1f}x less than float32" if bits else "")
    table.add_column("shape")
    for head, total in (
        ("k", ""),
        ("d", ""),
        ("weights", f"{weights:,}"),
        ("bits/weight", f"{total_bits_per_weight(rows):.3f}"),
        ("bytes", f"{sum(row.storage_bytes for row in rows):,}"),
        ("SQNR dB", ""),
    ):
        table.add_column(head, footer=total, justify="right")
    for row in rows:
        table.add_row(
            *(row.name, row.format, " x ".join(map(str, row.shape))),
            *("" if size is None else str(size) for size in (row.codebook_size, row.vector_dim)),
            *(f"{row.weights:,}", f"{row.bits_per_weight:.3f}", f"{row.storage_bytes:,}"),
            "exact" if math.isinf(row.sqnr_db) else f"{row.sqnr_db:.2f}",
        )
    return table
