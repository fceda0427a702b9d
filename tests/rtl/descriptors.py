"""Random descriptors as the front of the core passes them on."""

from typing import Any

from ssvq_gen.config import CoreConfig, WeightFormat
from ssvq_gen.format import DESCRIPTOR_MAGIC, DRAM_ALIGNMENT, Opcode

MEMORY_SIZE = 1 << 20


def random_fields(rng: Any, config: CoreConfig, opcode: Opcode | None = None) -> dict[str, int]:
    """Fields of a descriptor that can be run, all others random."""
    chosen = opcode or rng.choice(list(Opcode))
    size = config.stream_alignment if chosen is Opcode.MATMUL else config.word_bytes
    fields = {
        "magic": DESCRIPTOR_MAGIC,
        "opcode": chosen,
        "dram_offset": DRAM_ALIGNMENT * rng.randrange(MEMORY_SIZE // DRAM_ALIGNMENT // 2),
        "dram_bytes": size * rng.randint(1, config.activation_depth // 2),
        "source": rng.randrange(config.activation_depth // 2),
        "destination": rng.randrange(config.activation_depth // 2),
        "tokens": rng.randint(1, config.accumulator_depth),
        "k_tiles": rng.randint(1, 65535),
        "n_tiles": rng.randint(1, 65535),
        "input_stride": rng.getrandbits(16),
        "output_stride": rng.getrandbits(16),
        "last_rows": rng.randint(1, config.rows),
        "zero_point": rng.randint(-128, 127),
        "clamp_min": rng.randint(-128, 0),
        "clamp_max": rng.randint(0, 127),
    }
    weight_format = rng.choice(config.formats)
    fields["weight_format"] = weight_format
    if weight_format is WeightFormat.INT8:
        return fields | {"index_width": 8, "vector_dim_log2": 0}
    return fields | {"index_width": rng.randint(1, config.index_width), "vector_dim_log2": rng.randint(1, 2)}


def fetched(fields: dict[str, int], index: int, last: bool = False) -> dict[str, Any]:
    """Payload of a `FetchedDescriptor` port."""
    return {"fields": fields, "index": index, "last": last}
