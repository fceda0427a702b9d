"""Random descriptors as the front of the core passes them on."""

from typing import Any

from ssvq_gen.config import CoreConfig, WeightFormat
from ssvq_gen.format import (
    DESCRIPTOR_FIELDS,
    DESCRIPTOR_MAGIC,
    DRAM_ALIGNMENT,
    FIELD_BY_NAME,
    STREAM_OPCODES,
    VECTOR_OPCODES,
    VECTOR_WINDOW_OPCODES,
    Opcode,
    Residency,
    TableUse,
)
from ssvq_gen.vector_arithmetic import CHANNELS_MAX, DEPTHWISE_KERNEL_MAX, POOL_POSITIONS_MAX, SHIFTS

MEMORY_SIZE = 1 << 20
POSITIVE_OF_WINDOWS = (
    *("input_height", "input_width", "output_width", "kernel_width"),
    *("stride_y", "stride_x", "dilation_y", "dilation_x"),
)
"""Fields of windows that may not be zero."""
POSITIVE_OF_CONV = (*POSITIVE_OF_WINDOWS, "channel_tiles")


def opcodes_of(config: CoreConfig) -> list[Opcode]:
    """What the core can run."""
    left_out = {Opcode.PRODUCT: not config.attention, Opcode.CONV: not config.convolution}
    left_out |= {Opcode.DEPTHWISE: not config.depthwise_taps}
    left_out |= {} if config.vector else dict.fromkeys(VECTOR_OPCODES, True)
    return [opcode for opcode in Opcode if not left_out.get(opcode)]


def random_fields(rng: Any, config: CoreConfig, opcode: Opcode | None = None) -> dict[str, int]:
    """Fields of a descriptor that can be run, all others random; its own come behind those whose bits they share."""
    chosen = opcode or rng.choice(opcodes_of(config))
    size = config.stream_alignment if chosen in STREAM_OPCODES else config.word_bytes
    fields = {field.name: rng.randint(*field.bounds) for field in DESCRIPTOR_FIELDS} | {
        "magic": DESCRIPTOR_MAGIC,
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
    if chosen is not Opcode.PRODUCT:
        fields["batch_last"] = 0
    if chosen is Opcode.PRODUCT:
        fields |= {"dram_bytes": 0, "last_columns": rng.randint(1, config.cols)}
    elif chosen in STREAM_OPCODES:
        fields |= _random_format(rng, config) | _random_residency(rng, config, fields)
    elif chosen in VECTOR_OPCODES:
        fields |= {"dram_bytes": 0} | _random_vector(rng, chosen)
    if chosen in VECTOR_WINDOW_OPCODES:
        fields |= _random_windows(rng, config, chosen)
    if chosen is Opcode.CONV:
        fields |= {name: rng.randint(1, FIELD_BY_NAME[name].bounds[1]) for name in POSITIVE_OF_CONV}
    owned = {field.name for field in DESCRIPTOR_FIELDS if field.belongs_to(chosen)}
    return {name: value if name in owned else 0 for name, value in fields.items()}


def _random_vector(rng: Any, opcode: Opcode) -> dict[str, int]:
    softmax = opcode is Opcode.SOFTMAX
    second = {Opcode.MULTIPLY: 1, Opcode.SUM: rng.randint(0, 1)}.get(opcode, 0)
    return {
        "channels": rng.randint(1, CHANNELS_MAX),
        "table_use": rng.randint(1 if softmax else 0, max(TableUse)),
        "shift_code": rng.randrange(len(SHIFTS)),
        "has_second": second,
        **({"input_zero_point": 0} if softmax else {}),
    }


def _random_windows(rng: Any, config: CoreConfig, opcode: Opcode) -> dict[str, int]:
    fields = {name: rng.randint(1, FIELD_BY_NAME[name].bounds[1]) for name in POSITIVE_OF_WINDOWS}
    if opcode is Opcode.POOL:
        return fields | {"kernel_height": rng.randint(1, POOL_POSITIONS_MAX // fields["kernel_width"])}
    fields |= {name: rng.randint(1, DEPTHWISE_KERNEL_MAX) for name in ("kernel_height", "kernel_width")}
    extra = -(-fields["kernel_width"] // fields["stride_x"]) - 1
    if 0 < extra < config.depthwise_taps and rng.random() < 0.5:
        return fields | {"extra_taps": extra, "dilation_x": 1}
    return fields | {"extra_taps": 0}


def all_of(fields: dict[str, int]) -> dict[str, int]:
    """What hardware finds in every field, those of other opcodes included."""
    image = 0
    for name, value in fields.items():
        field = FIELD_BY_NAME[name]
        mask = (1 << field.width) - 1
        image = image & ~(mask << field.offset) | (value & mask) << field.offset
    found = {field.name: image >> field.offset & ((1 << field.width) - 1) for field in DESCRIPTOR_FIELDS}
    return {n: v - (1 << FIELD_BY_NAME[n].width) if v > FIELD_BY_NAME[n].bounds[1] else v for n, v in found.items()}


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
    """Payload of a `FetchedDescriptor` port. Fields that the opcode does not have are left out: others are there."""
    owned = {f.name: fields[f.name] for f in DESCRIPTOR_FIELDS if f.belongs_to(fields["opcode"]) and f.name in fields}
    return {"fields": owned, "index": index, "last": last}
