"""A table of compressed layers for a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from ssvq.quantize.layer import CompressedLayer

FLOAT_BITS = 32


def layer_table(layers: Iterable[CompressedLayer]) -> Table:
    """A row for each layer, and a last one for all together."""
    table = Table(show_footer=True)
    columns = ("layer", "kind", "format", "shape", "k", "d", "weights", "bits/weight", "bytes", "activations")
    rows = list(layers)
    weights = sum(layer.weight_count for layer in rows)
    bits = sum(layer.storage_bits for layer in rows)
    ratio = f"{bits / weights:.3f}" if weights else ""
    smaller = f"{FLOAT_BITS * weights / bits:.1f}x smaller than float32" if bits else ""
    footer = (f"{len(rows)} layers", "", "", "", "", "", f"{weights:,}", ratio, f"{-(-bits // 8):,}", smaller)
    for number, (name, total) in enumerate(zip(columns, footer, strict=True)):
        words = number < 4 or number == len(columns) - 1
        table.add_column(name, footer=total, justify="left" if words else "right", overflow="fold")
    for layer in rows:
        codes = (layer.codebook_size, layer.vector_dim)
        table.add_row(
            *(layer.name, layer.kind, layer.format.value, " x ".join(map(str, layer.weight_shape))),
            *("" if size is None else str(size) for size in codes),
            *(f"{layer.weight_count:,}", f"{layer.bits_per_weight:.3f}", f"{-(-layer.storage_bits // 8):,}"),
            "float" if layer.input_scale is None or layer.output_scale is None else "int8",
        )
    return table
