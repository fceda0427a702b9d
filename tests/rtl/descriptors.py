"""Random descriptors as the front of the core passes them on."""

from typing import Any

from ssvq_gen.config import CoreConfig, WeightFormat
from ssvq_gen.format import DESCRIPTOR_FIELDS, DESCRIPTOR_MAGIC, DRAM_ALIGNMENT, Opcode, Residency

MEMORY_SIZE = 1 << 20


def opcodes_of(config: CoreConfig) -> list[Opcode]:
    """What the core can run."""
    return [opcode for opcode in Opcode if config.attention or opcode is not Opcode.PRODUCT]


def random_fields(rng: Any, config: CoreConfig, opcode: Opcode | None = None) -> dict[str, int]:
    """Fields of a descriptor that can be run, all others random."""
    chosen = opcode or rng.choice(opcodes_of(config))
    size = config.stream_alignment if chosen is Opcode.MATMUL else config.word_bytes
    fields = {field.name: rng.randint(*field.bounds) for field in DESCRIPTOR_FIELDS} | {
        "magic": DESCRIPTOR_MAGIC,
        "flags": 0,
        "opcode": chosen,
        "dram_offset": DRAM_ALIGNMENT * rng.randrange(MEMORY_SIZE // DRAM_ALIGNMENT // 2),
        "dram_bytes": size * rng.randint(1, config.activation_depth // 2),
        "source": rng.randrange(config.activation_depth // 2),
        "destination": rng.randrange(config.activation_depth // 2),
        "tokens": rng.randint(1, config.accumulator_depth),
        "k_tiles": rng.randint(1, 65535),
        "n_tiles": rng.randint(1, 65535),
        "last_rows": rng.randint(1, config.rows),
        "clamp_min": rng.randint(-128, 0),
        "clamp_max": rng.randint(0, 127),
    }
    if chosen is Opcode.PRODUCT:
        return fields | {"dram_offset": 0, "dram_bytes": 0, "last_columns": rng.randint(1, config.cols)}
    fields["batch_last"] = 0
    if chosen is Opcode.MATMUL:
        fields |= _random_format(rng, config) | _random_residency(rng, config, fields)
    return fields


def _random_format(rng: Any, config: CoreConfig) -> dict[str, int]:
    weight_format = rng.choice(config.formats)
    if weight_format is WeightFormat.INT8:
        return {"weight_format": weight_format, "index_width": 8, "vector_dim_log2": 0}
    index_width, dim_log2 = rng.randint(1, config.index_width), rng.randint(1, 2)
    return {"weight_format": weight_format, "index_width": index_width, "vector_dim_log2": dim_log2}


def _random_residency(rng: Any, config: CoreConfig, fields: dict[str, int]) -> dict[str, int]:
    """A place in the weight cache if there is a cache that holds the stream."""
    space = config.weight_cache_bytes - fields["dram_bytes"]
    if space < 0:
        return {"residency": Residency.NONE}
    residency = rng.choice(list(Residency))
    offset = DRAM_ALIGNMENT * rng.randint(0, space // DRAM_ALIGNMENT)
    return {"residency": residency} | ({} if residency is Residency.NONE else {"cache_offset": offset})


def fetched(fields: dict[str, int], index: int, last: bool = False) -> dict[str, Any]:
    """Payload of a `FetchedDescriptor` port."""
    return {"fields": fields, "index": index, "last": last}
