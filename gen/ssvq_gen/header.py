"""The C header of a generated core: registers, descriptor fields, codes and the configuration it was made from."""

from __future__ import annotations

from collections.abc import Iterable

from . import format
from .config import MAX_BURST_BEATS, CoreConfig, WeightFormat
from .manifest import digest_text
from .profile import PROFILE_FIELDS, PROFILE_STORED, PROFILE_WORDS
from .registers import (
    AXIL_ADDR_WIDTH,
    CORE_ID,
    CORE_VERSION,
    COUNTERS,
    MEMORY_BASE_ALIGNMENT,
    REGISTERS,
    TRAFFIC_COUNTERS,
)

_ACCESSORS = """\
/* Value in place of a register field: SSVQ_FIELD(SSVQ_REG_IRQ_ENABLE_DONE, 1). */
#define SSVQ_FIELD(field, value) (((uint32_t)(value) << field##_SHIFT) & field##_MASK)
/* Value of a field of a register that was read. */
#define SSVQ_FIELD_GET(field, word) (((uint32_t)(word) & field##_MASK) >> field##_SHIFT)

/* A descriptor as the core reads it: little-endian words. */
typedef struct {
    uint32_t words[SSVQ_DESCRIPTOR_BYTES / 4];
} ssvq_descriptor_t;

/* Set or get a descriptor field by its name: SSVQ_DESCRIPTOR_SET(&d, TOKENS, 197). */
#define SSVQ_DESCRIPTOR_SET(descriptor, field, value) \\
    ((descriptor)->words[SSVQ_DESCRIPTOR_##field##_WORD] = \\
         ((descriptor)->words[SSVQ_DESCRIPTOR_##field##_WORD] & ~SSVQ_DESCRIPTOR_##field##_MASK) | \\
         SSVQ_FIELD(SSVQ_DESCRIPTOR_##field, value))
#define SSVQ_DESCRIPTOR_GET(descriptor, field) \\
    SSVQ_FIELD_GET(SSVQ_DESCRIPTOR_##field, (descriptor)->words[SSVQ_DESCRIPTOR_##field##_WORD])
"""


def _mask(lsb: int, width: int) -> str:
    return f"UINT32_C({((1 << width) - 1) << lsb:#010x})"


def _define(name: str, value: str, doc: str = "") -> str:
    return f"#define {name} {value}" + (f" /* {doc} */" if doc else "")


def _configuration(config: CoreConfig) -> list[str]:
    numbers = {key.upper(): int(value) for key, value in config.to_dict().items() if isinstance(value, int)}
    numbers |= {
        "WORD_BYTES": config.word_bytes,
        "ACTIVATION_DEPTH": config.activation_depth,
        "STREAM_BYTES": config.stream_bytes,
        "STREAM_ALIGNMENT": config.stream_alignment,
        "MAX_VECTOR_DIM": config.max_vector_dim,
        "MAX_BURST_BEATS": MAX_BURST_BEATS,
        "DRAM_ALIGNMENT": format.DRAM_ALIGNMENT,
        "MEMORY_BASE_ALIGNMENT": MEMORY_BASE_ALIGNMENT,
        "REGISTER_BYTES": 1 << AXIL_ADDR_WIDTH,
        "PROFILE_WORDS": PROFILE_WORDS,
    }
    lines = [
        _define("SSVQ_CORE_ID", f"UINT32_C({CORE_ID:#010x})"),
        _define("SSVQ_CORE_VERSION", f"UINT32_C({CORE_VERSION:#010x})"),
        _define("SSVQ_CONFIG_DIGEST", f"UINT64_C({digest_text(config)})"),
        _define("SSVQ_CONFIG_NAME", f'"{config.name}"'),
    ]
    lines += [_define(f"SSVQ_{name}", str(value)) for name, value in numbers.items()]
    return lines + [_define(f"SSVQ_HAS_{f.name}", str(int(f in config.formats))) for f in WeightFormat]


def _registers() -> list[str]:
    lines = []
    for register in REGISTERS:
        lines.append(
            _define(f"SSVQ_REG_{register.name}", f"{register.offset:#05x}u", f"{register.access.value}: {register.doc}")
        )
        for bits in register.bits:
            stem = f"SSVQ_REG_{register.name}_{bits.name}"
            lines += [
                _define(f"{stem}_SHIFT", str(bits.lsb)),
                _define(f"{stem}_MASK", _mask(bits.lsb, bits.width), bits.doc),
            ]
    return lines


def _descriptor() -> list[str]:
    lines = [
        _define("SSVQ_DESCRIPTOR_BYTES", str(format.DESCRIPTOR_BYTES)),
        _define("SSVQ_DESCRIPTOR_MAGIC", f"{format.DESCRIPTOR_MAGIC:#04x}", "value of the field MAGIC"),
    ]
    for field in format.DESCRIPTOR_FIELDS:
        stem = f"SSVQ_DESCRIPTOR_{field.name.upper()}"
        lines += [
            _define(f"{stem}_WORD", str(field.word), field.doc),
            _define(f"{stem}_SHIFT", str(field.lsb)),
            _define(f"{stem}_MASK", _mask(field.lsb, field.width)),
        ]
    return lines


def _enum(name: str, members: list[tuple[str, int, str]]) -> list[str]:
    rows = [f"    SSVQ_{member} = {value}," + (f" /* {doc} */" if doc else "") for member, value, doc in members]
    return [f"enum {name} {{", *rows, "};"]


def _list(name: str, members: Iterable[str]) -> list[str]:
    """A macro that names every member of a table: X(A) X(B)."""
    return [_define(f"SSVQ_{name}(X)", " \\\n    ".join(f"X({member})" for member in members))]


def _lists() -> list[str]:
    return [
        *_list("CYCLE_COUNTERS", (name for name, _ in COUNTERS)),
        *_list("TRAFFIC_COUNTERS", (name for name, _ in TRAFFIC_COUNTERS)),
        *_list("PROFILE_STORED", PROFILE_STORED),
        *_list("OPCODES", (o.name for o in format.Opcode)),
        *_list("MATRIX_OPCODES", (o.name for o in format.MATRIX_OPCODES)),
        *_list("ERROR_CODES", (f'{e.name}, "{e.meaning}"' for e in format.ErrorCode)),
    ]


def header_text(config: CoreConfig) -> str:
    """The header; it needs C99 and `<stdint.h>` only, and C++ takes it too."""
    sections = [
        ("Configuration", _configuration(config)),
        ("Registers: byte offsets, and shift and mask of every field", _registers()),
        ("Descriptor: word, shift and mask of every field", _descriptor()),
        ("What a descriptor asks for", _enum("ssvq_opcode", [(f"OPCODE_{o.name}", o, "") for o in format.Opcode])),
        ("Weight formats", _enum("ssvq_weight_format", [(f"FORMAT_{f.name}", f, "") for f in WeightFormat])),
        (
            "Why a job ended (ERROR_CODE)",
            _enum("ssvq_error", [(f"ERROR_CODE_{e.name}", e, e.meaning) for e in format.ErrorCode]),
        ),
        (
            "Words of a descriptor's profile: PROFILE_ADDR is SSVQ_PROFILE_WORDS * descriptor + word",
            _enum(
                "ssvq_profile_word", [(f"PROFILE_WORD_{name}", n, doc) for n, (name, doc) in enumerate(PROFILE_FIELDS)]
            ),
        ),
        (
            "Lists for software that has a line for each member, as X(NAME); the total of cycles is the first counter,"
            "\n   those in a profile follow its times, and X of ERROR_CODES also takes the meaning",
            _lists(),
        ),
    ]
    parts = [
        f"/* SSVQ core, configuration {config.name}. Generated: change the generator, not this file. */",
        "#ifndef SSVQ_CORE_H\n#define SSVQ_CORE_H\n\n#include <stdint.h>",
    ]
    parts += ["\n".join([f"/* {title}. */", *lines]) for title, lines in sections]
    return "\n\n".join([*parts, _ACCESSORS + "\n#endif"]) + "\n"
