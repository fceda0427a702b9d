import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from amaranth.hdl import Module, Signal
from descriptors import POSITIVE_OF_CONV, POSITIVE_OF_WINDOWS, opcodes_of
from small_configs import (
    CACHED,
    CONFIGS,
    FIVE_TAPS,
    INT8_ONLY,
    LARGE_CODEBOOK,
    NO_CONVOLUTIONS,
    NO_DEPTHWISE,
    NO_PRODUCTS,
    NO_VECTORS,
    SSVQ_ONLY,
    VQ_ONLY,
    name_of,
)

from ssvq_gen.config import PRESETS, CoreConfig, WeightFormat
from ssvq_gen.format import (
    DESCRIPTOR_MAGIC,
    DRAM_ALIGNMENT,
    FIELD_BY_NAME,
    OPEN_ALL,
    VECTOR_OPCODES,
    VECTOR_WINDOW_OPCODES,
    ErrorCode,
    FormatError,
    Opcode,
    Residency,
    TableUse,
)
from ssvq_gen.stream_format import StreamFormat
from ssvq_gen.vector_arithmetic import CHANNELS_MAX, DEPTHWISE_KERNEL_MAX, POOL_POSITIONS_MAX, SHIFTS
from ssvq_rtl.descriptor_check import DescriptorCheck
from ssvq_sim.stream_bench import run_benches, seeded

ALL = (
    *(*CONFIGS, LARGE_CODEBOOK, INT8_ONLY, SSVQ_ONLY, VQ_ONLY, CACHED),
    *(NO_PRODUCTS, NO_CONVOLUTIONS, NO_VECTORS, NO_DEPTHWISE, FIVE_TAPS, PRESETS["large"]),
)
MEMORY_SIZE = 1 << 20

Fields = dict[str, int]
Case = tuple[Fields, int, ErrorCode]
"""Descriptor, size of the DRAM window, expected code."""

OK, BAD = ErrorCode.NONE, ErrorCode.BAD_DESCRIPTOR
DRAM, ACTIVATION = ErrorCode.DRAM_RANGE, ErrorCode.ACTIVATION_RANGE


def format_fields(config: CoreConfig) -> Fields:
    """Smallest codes of the first format."""
    if config.formats[0] is WeightFormat.INT8:
        return {"weight_format": WeightFormat.INT8, "index_width": 8, "vector_dim_log2": 0}
    return {"weight_format": config.formats[0], "index_width": 1, "vector_dim_log2": 1}


def matmul(config: CoreConfig, **changes: int) -> Fields:
    return {
        "magic": DESCRIPTOR_MAGIC,
        "opcode": Opcode.MATMUL,
        "dram_offset": 4 * DRAM_ALIGNMENT,
        "dram_bytes": 3 * config.stream_alignment,
        "tokens": 1,
        "k_tiles": 1,
        "n_tiles": 1,
        "last_rows": 1,
        **format_fields(config),
    } | changes


def product(config: CoreConfig, **changes: int) -> Fields:
    fields = {"magic": DESCRIPTOR_MAGIC, "opcode": Opcode.PRODUCT, "tokens": 1, "k_tiles": 1, "n_tiles": 1}
    return fields | {"last_rows": 1, "last_columns": 1} | changes


def conv(config: CoreConfig, **changes: int) -> Fields:
    return matmul(config, opcode=Opcode.CONV) | dict.fromkeys(POSITIVE_OF_CONV, 1) | changes


def copy(config: CoreConfig, opcode: Opcode, **changes: int) -> Fields:
    fields = {"magic": DESCRIPTOR_MAGIC, "opcode": opcode, "dram_offset": 4 * DRAM_ALIGNMENT}
    return fields | {"dram_bytes": 2 * config.word_bytes} | changes


def evaluate(config: CoreConfig, cases: list[Case]) -> list[int]:
    """Check all cases; returns `words` of each."""
    m = Module()
    m.submodules.dut = dut = DescriptorCheck(config=config)
    m.d.sync += Signal(name="clocked").eq(1)  # the bench counts cycles
    words = []

    async def bench(ctx: Any) -> None:
        for fields, memory_size, code in cases:
            ctx.set(dut.memory_size, memory_size)
            ctx.set(dut.fields.as_value(), 0)
            for name, value in fields.items():
                ctx.set(dut.fields[name], value)
            await ctx.tick()
            assert ErrorCode(ctx.get(dut.code)) is code, (fields, memory_size)
            words.append(ctx.get(dut.words))

    run_benches(m, bench, cycles=len(cases) + 10)
    return words


def both_sides(low: int, high: int, limit: int) -> Iterator[tuple[int, ErrorCode]]:
    """Values at and next to the ends of a range that a field of `limit` can hold."""
    for value, code in ((low - 1, BAD), (low, OK), (high, OK), (high + 1, BAD)):
        if 0 <= value <= limit:
            yield value, code


def matrix_cases(config: CoreConfig, base: Fields) -> list[Case]:
    """What matrix descriptors have in common."""
    cases: list[Case] = [(base, MEMORY_SIZE, OK)]
    ranges = {
        "tokens": (1, config.accumulator_depth),
        "last_rows": (1, config.rows),
        "k_tiles": (1, FIELD_BY_NAME["k_tiles"].bounds[1]),
        "n_tiles": (1, FIELD_BY_NAME["n_tiles"].bounds[1]),
    }
    for name, (low, high) in ranges.items():
        limit = FIELD_BY_NAME[name].bounds[1]
        cases += [(base | {name: v}, MEMORY_SIZE, code) for v, code in both_sides(low, high, limit)]
        cases.append((base | {name: limit}, MEMORY_SIZE, OK if limit <= high else BAD))
    for clamp_min, clamp_max in ((-128, 127), (5, 5), (-128, -128), (127, 127), (-1, 0)):
        cases.append((base | {"clamp_min": clamp_min, "clamp_max": clamp_max}, MEMORY_SIZE, OK))
    for clamp_min, clamp_max in ((127, -128), (6, 5), (0, -1), (-127, -128)):
        cases.append((base | {"clamp_min": clamp_min, "clamp_max": clamp_max}, MEMORY_SIZE, BAD))
    # Addresses in the activation memory are checked where they are made.
    unchecked = ("source", "destination", "input_stride", "output_stride", "early_tiles")
    cases.append((base | {name: FIELD_BY_NAME[name].bounds[1] for name in unchecked}, MEMORY_SIZE, OK))
    return cases


def matmul_cases(config: CoreConfig) -> list[Case]:
    cases = matrix_cases(config, matmul(config))
    align = config.stream_alignment
    for size, code in ((align, OK), (align - 1, DRAM), (align + 1, DRAM), (align // 2, DRAM), (0, BAD)):
        cases.append((matmul(config, dram_bytes=size), MEMORY_SIZE, code))
    # Only a PRODUCT has a batch, and only it looks at its operand.
    cases += [(matmul(config, batch_last=value), MEMORY_SIZE, BAD) for value in (1, 2, 1 << 15, 65535)]
    unused = {"operand": (1 << 32) - 1, "operand_stride": 65535, "last_columns": 255, "transposed": 1}
    cases.append((matmul(config, **unused), MEMORY_SIZE, OK))
    return cases


def product_cases(config: CoreConfig) -> list[Case]:
    if not config.attention:
        return [(product(config), MEMORY_SIZE, BAD)]
    cases = matrix_cases(config, product(config))
    for value in range(256):
        code = OK if 1 <= value <= config.cols else BAD
        cases.append((product(config, last_columns=value), MEMORY_SIZE, code))
    cases += [(product(config, batch_last=value), MEMORY_SIZE, OK) for value in (0, 1, 65535)]
    cases += [(product(config, dram_bytes=1 << bit), MEMORY_SIZE, BAD) for bit in range(32)]
    cases += [(product(config), 0, OK), (product(config, dram_offset=DRAM_ALIGNMENT + 1), 0, OK)]
    unchecked = ("operand", "operand_stride", "operand_batch_stride", "input_batch_stride", "output_batch_stride")
    unused = ("weight_format", "index_width", "vector_dim_log2", "residency", "cache_offset", "transposed")
    for name in unchecked + unused:
        cases.append((product(config, **{name: FIELD_BY_NAME[name].bounds[1]}), MEMORY_SIZE, OK))
    return cases


def conv_cases(config: CoreConfig) -> list[Case]:
    if not config.convolution:
        return [(conv(config), MEMORY_SIZE, BAD)]
    cases = matrix_cases(config, conv(config))
    for name in POSITIVE_OF_CONV:
        top = FIELD_BY_NAME[name].bounds[1]
        cases += [(conv(config, **{name: value}), MEMORY_SIZE, BAD if value == 0 else OK) for value in (0, 1, top)]
    # Pixels are found, or are outside, wherever these lead.
    for name in ("origin_y", "origin_x", "padding_value", "row_stride"):
        cases += [(conv(config, **{name: value}), MEMORY_SIZE, OK) for value in (0, *FIELD_BY_NAME[name].bounds)]
    cases += [(conv(config, batch_last=value), MEMORY_SIZE, BAD) for value in (1, 65535)]
    cases += [(conv(config, dram_bytes=0), MEMORY_SIZE, BAD), (conv(config, dram_bytes=3), MEMORY_SIZE, DRAM)]
    cases += [(conv(config, weight_format=3), MEMORY_SIZE, BAD), (conv(config, residency=3), MEMORY_SIZE, BAD)]
    return cases


def vector(opcode: Opcode, **changes: int) -> Fields:
    fields = {"magic": DESCRIPTOR_MAGIC, "opcode": opcode, "tokens": 1, "channels": 1}
    fields |= dict.fromkeys((*POSITIVE_OF_WINDOWS, "kernel_height"), 1) if opcode in VECTOR_WINDOW_OPCODES else {}
    fields |= {"table_use": TableUse.KEPT} if opcode is Opcode.SOFTMAX else {}
    return fields | ({"has_second": 1} if opcode is Opcode.MULTIPLY else {}) | changes


def vector_cases(config: CoreConfig) -> list[Case]:
    cases: list[Case] = []
    for opcode in VECTOR_OPCODES:
        base = vector(opcode)
        if opcode not in opcodes_of(config):
            cases.append((base, MEMORY_SIZE, BAD))
            continue
        cases += [(base, 0, OK), (base | {"dram_bytes": 1}, MEMORY_SIZE, BAD), (base | {"batch_last": 1}, 0, BAD)]
        all_tokens = FIELD_BY_NAME["tokens"].bounds[1]
        in_memories = opcode in (Opcode.LAYERNORM, Opcode.SOFTMAX)
        tokens = config.accumulator_depth if in_memories else all_tokens
        for name, high, limit in (("tokens", tokens, all_tokens), ("channels", CHANNELS_MAX, all_tokens)):
            cases += [(base | {name: v}, MEMORY_SIZE, code) for v, code in both_sides(1, high, limit)]
        cases += [(base | {"clamp_min": low, "clamp_max": low}, 0, OK) for low in (-128, 0, 127)]
        cases += [(base | {"clamp_min": low + 1, "clamp_max": low}, 0, BAD) for low in (-128, 0, 126)]
        for use in range(4):
            known = use in list(TableUse) and (opcode is not Opcode.SOFTMAX or use != TableUse.NONE)
            cases.append((base | {"table_use": use}, 0, OK if known else BAD))
        second = {Opcode.SUM: (OK, OK), Opcode.MULTIPLY: (BAD, OK)}.get(opcode, (OK, BAD))
        cases += [(base | {"has_second": value}, 0, code) for value, code in enumerate(second)]
        zero = BAD if opcode is Opcode.SOFTMAX else OK
        cases += [(base | {"input_zero_point": value}, 0, zero) for value in (-128, -1, 1, 127)]
        cases += [(base | {"shift_code": code}, 0, OK if code < len(SHIFTS) else BAD) for code in range(8)]
        # Addresses are checked where they are made.
        unchecked = ("source", "destination", "input_stride", "output_stride", "parameters", "planes")
        cases += [(base | {name: FIELD_BY_NAME[name].bounds[1]}, 0, OK) for name in unchecked]
    return cases


def vector_window_cases(config: CoreConfig) -> list[Case]:
    cases: list[Case] = []
    for opcode in VECTOR_WINDOW_OPCODES:
        if opcode not in opcodes_of(config):
            continue
        for name in (*POSITIVE_OF_WINDOWS, "kernel_height"):
            cases += [(vector(opcode, **{name: value}), 0, OK if value else BAD) for value in (0, 1, 2)]
        for name in ("origin_y", "origin_x", "row_stride"):
            cases += [(vector(opcode, **{name: value}), 0, OK) for value in FIELD_BY_NAME[name].bounds]
        for width in range(1, 16):
            for height in (1, 7, 8, 9, POOL_POSITIONS_MAX // width, POOL_POSITIONS_MAX // width + 1, 512, 513, 4095):
                most = DEPTHWISE_KERNEL_MAX
                fits = width * height <= POOL_POSITIONS_MAX if opcode is Opcode.POOL else max(width, height) <= most
                fields = {"kernel_width": width, "kernel_height": height}
                cases.append((vector(opcode, **fields), 0, OK if fits else BAD))
    if config.depthwise_taps:
        cases += [(vector(Opcode.POOL, largest=value), 0, OK) for value in (0, 1)]
        for width, stride, extra, dilation in itertools.product(range(1, 9), range(1, 8), range(8), (1, 2)):
            windows = -(-width // stride)
            fits = extra == 0 or (extra + 1 == windows <= config.depthwise_taps and dilation == 1)
            fields = {"kernel_width": width, "stride_x": stride, "extra_taps": extra, "dilation_x": dilation}
            cases.append((vector(Opcode.DEPTHWISE, **fields), 0, OK if fits else BAD))
    return cases


def residency_cases(config: CoreConfig) -> list[Case]:
    """Every residency with places in the cache, lengths of the stream, and places in DRAM."""
    cache, unit = config.weight_cache_bytes, config.stream_alignment
    ends = {end for end in (cache - DRAM_ALIGNMENT, cache - unit, cache, cache + unit) if end >= 0}
    places = {0, *ends, *(1 << bit for bit in range(32)), (1 << 32) - DRAM_ALIGNMENT}
    lengths = {unit, unit + 1, DRAM_ALIGNMENT, DRAM_ALIGNMENT + unit, *ends} - {0}
    windows = ((0, MEMORY_SIZE), (MEMORY_SIZE, MEMORY_SIZE), (0, 0), (DRAM_ALIGNMENT // 2, MEMORY_SIZE))
    cases: list[Case] = []
    for residency, place, length in itertools.product(range(4), places, lengths):
        for dram_offset, memory_size in windows:
            fields = {"cache_offset": place, "dram_bytes": length, "dram_offset": dram_offset, "residency": residency}
            in_cache = place % DRAM_ALIGNMENT == 0 and place + length <= cache
            in_window = dram_offset + length <= memory_size or residency == Residency.REUSE
            if residency != Residency.NONE and (residency not in list(Residency) or not in_cache):
                code = BAD
            elif dram_offset % DRAM_ALIGNMENT or length % unit or not in_window:
                code = DRAM
            else:
                code = OK
            cases.append((matmul(config, **fields), memory_size, code))
            if config.convolution and place < cache + unit:
                cases.append((conv(config, **fields), memory_size, code))
    return cases


def copy_cases(config: CoreConfig) -> list[Case]:
    cases: list[Case] = []
    depth, word = config.activation_depth, config.word_bytes
    for opcode, used, unused in (
        (Opcode.LOAD, "destination", "source"),
        (Opcode.STORE, "source", "destination"),
    ):
        for first, words, code in (
            (0, 1, OK),
            (0, depth, OK),
            (depth - 1, 1, OK),
            (depth - 2, 2, OK),
            (depth // 2, depth - depth // 2, OK),
            (depth, 1, ACTIVATION),
            (depth - 1, 2, ACTIVATION),
            (0, depth + 1, ACTIVATION),
            (1, depth, ACTIVATION),
            ((1 << 32) - 1, 1, ACTIVATION),
            ((1 << 32) - 2, 2, ACTIVATION),
        ):
            fields = copy(config, opcode, **{used: first, unused: (1 << 32) - 1, "dram_bytes": words * word})
            cases.append((fields, 1 << 24, code))
        for size, code in ((word, OK), (word - 1, DRAM), (word + 1, DRAM), (word // 2, DRAM), (0, BAD)):
            cases.append((copy(config, opcode, dram_bytes=size), MEMORY_SIZE, code))
        # What only a MATMUL or a PRODUCT uses is not looked at, but for the batch.
        unused = {"weight_format": 3, "tokens": 65535, "last_rows": 255, "clamp_max": -1, "residency": 3}
        cases.append((copy(config, opcode, **unused), MEMORY_SIZE, OK))
        cases.append((copy(config, opcode, batch_last=1), MEMORY_SIZE, BAD))
    return cases


def common_cases(config: CoreConfig) -> list[Case]:
    cases: list[Case] = []
    bases = [matmul(config), copy(config, Opcode.LOAD), copy(config, Opcode.STORE)]
    for base in [*bases, conv(config)] if config.convolution else bases:
        size = base["dram_bytes"]
        cases += [(base | {"magic": magic}, MEMORY_SIZE, BAD) for magic in (0, 0xFF, DESCRIPTOR_MAGIC ^ 1)]
        opens = ("loads_open", "matmuls_open", "stores_open", "vectors_open")
        cases += [(base | {name: value}, MEMORY_SIZE, OK) for name in opens for value in range(OPEN_ALL + 1)]
        cases += [(base | {"opcode": code}, MEMORY_SIZE, BAD) for code in range(256) if code not in list(Opcode)]
        for bit in range(32):
            code = DRAM if (1 << bit) % DRAM_ALIGNMENT or (1 << bit) + size > MEMORY_SIZE else OK
            cases.append((base | {"dram_offset": 1 << bit}, MEMORY_SIZE, code))
        end = base["dram_offset"] + size
        cases += [(base, end, OK), (base, end - 1, DRAM), (base, 0, DRAM), (base, (1 << 32) - 1, OK)]
        # The end of a 32-bit offset space: the sum does not wrap.
        top = base | {"dram_offset": (1 << 32) - DRAM_ALIGNMENT, "dram_bytes": DRAM_ALIGNMENT * config.word_bytes}
        cases.append((top, (1 << 32) - 1, DRAM))
    return cases


RULES = [
    *(matmul_cases, product_cases, conv_cases, vector_cases, vector_window_cases, residency_cases),
    *(copy_cases, common_cases),
]


@pytest.mark.parametrize("config", ALL, ids=name_of)
@pytest.mark.parametrize("cases", RULES)
def test_each_rule_alone(config: CoreConfig, cases: Any) -> None:
    listed = cases(config)
    assert listed or cases is vector_window_cases
    words = evaluate(config, listed)
    assert words == [fields.get("dram_bytes", 0) // config.word_bytes for fields, *_ in listed]


@pytest.mark.parametrize("config", ALL, ids=name_of)
def test_formats_are_those_of_stream_format(config: CoreConfig) -> None:
    """Every code of format, index width and vector dimension."""
    cases: list[Case] = []
    for code in range(4):
        for index_width in range(16):
            for dim_log2 in range(8):
                fields = {"weight_format": code, "index_width": index_width, "vector_dim_log2": dim_log2}
                try:
                    StreamFormat(
                        config=config,
                        weight_format=WeightFormat(code),
                        codebook_size=1 << index_width,
                        vector_dim=1 << dim_log2,
                    )
                except (FormatError, ValueError):
                    expected = BAD
                else:
                    expected = OK
                cases.append((matmul(config, **fields), MEMORY_SIZE, expected))
    evaluate(config, cases)
    assert any(code is OK for *_, code in cases)


def test_order_of_errors() -> None:
    """A descriptor that breaks several rules reports the first: descriptor, DRAM, activation memory."""
    config = CONFIGS[0]
    rng = seeded(5)
    bad = ({"magic": 0}, {"batch_last": 1}, {"opcode": 0})
    dram = ({"dram_offset": 1}, {"dram_offset": MEMORY_SIZE})
    activation = ({"destination": config.activation_depth},)
    load = copy(config, Opcode.LOAD)
    cases: list[Case] = []
    for _ in range(50):
        cases.append((load | rng.choice(bad) | rng.choice(dram) | rng.choice(activation), MEMORY_SIZE, BAD))
        cases.append((load | rng.choice(dram) | rng.choice(activation), MEMORY_SIZE, DRAM))
        cases.append((matmul(config, tokens=0) | rng.choice(dram), MEMORY_SIZE, BAD))
    evaluate(config, cases)


def test_refuses_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="config must be a CoreConfig"):
        DescriptorCheck(config=PRESETS)  # type: ignore[arg-type]
