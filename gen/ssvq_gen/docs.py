"""Markdown made from the tables: the register reference, and the binary formats with one core's numbers."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from . import format
from .config import CODEBOOK_PAGES, CoreConfig, WeightFormat
from .files import write_whole
from .manifest import digest_text
from .profile import PROFILE_FIELDS, PROFILE_WORDS
from .registers import CONTROL_REGISTERS, CORE_ID, CORE_VERSION, COUNTERS, REGISTERS, TRAFFIC_COUNTERS, Register

_NOTE = "<!-- Generated: change the generator, not this file. -->\n\n"


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def _bit_range(lsb: int, width: int) -> str:
    return str(lsb) if width == 1 else f"{lsb + width - 1}..{lsb}"


def _fields(register: Register) -> str:
    head = f"\n### {register.name}\n\n{register.doc[0].upper()}{register.doc[1:]}.\n\n"
    return head + _table(
        ["bit", "field", "meaning"], [(_bit_range(b.lsb, b.width), b.name, b.doc) for b in register.bits]
    )


def registers_markdown(config: CoreConfig | None = None) -> str:
    """The register reference; of any core when no configuration is given."""
    if config is None:
        where = "Every core has these registers; the digest depends on its configuration."
    else:
        where = f"Configuration `{config.name}`, digest `{digest_text(config)}`."
    counters = len(COUNTERS) + len(TRAFFIC_COUNTERS)
    text = (
        f"{_NOTE}# Registers\n\n{where} All are 32 bits wide, little-endian, on the AXI4-Lite port `s_axil`; addresses"
        " between them read zero and ignore writes. Access: R read, W write (reads zero), RW both, RW1C read and clear"
        f" by writing ones. `ID` reads `{CORE_ID:#010x}`, `VERSION` reads `{CORE_VERSION:#010x}`.\n\n"
    )
    text += _table(
        ["offset", "register", "access", "meaning"],
        [(f"`{r.offset:#05x}`", f"`{r.name}`", r.access.value, r.doc) for r in REGISTERS],
    )
    text += f"\nThe last {counters} are counters: every cycle of a job is in `TOTAL_CYCLES` and in exactly one of the"
    text += " other classes of cycles.\n\n## Fields\n"
    return text + "".join(_fields(r) for r in CONTROL_REGISTERS if r.bits)


def formats_markdown(config: CoreConfig) -> str:
    """Tables of the descriptor, the codes and this core's weight stream."""
    text = (
        f"{_NOTE}# Formats\n\nConfiguration `{config.name}`, digest `{digest_text(config)}`. Everything in DRAM is"
        f" little-endian; offsets count bytes from the job's memory base and are multiples of {format.DRAM_ALIGNMENT}."
        "\n\n"
        f"## Descriptor\n\n{format.DESCRIPTOR_BYTES} bytes; what is not named is zero.\n\n"
    )
    text += _table(
        ["word", "bits", "field", "type", "opcodes", "meaning"],
        [_descriptor_row(field) for field in format.DESCRIPTOR_FIELDS],
    )
    text += "\n## Opcodes\n\n" + _table(["value", "opcode"], [(o.value, f"`{o.name}`") for o in format.Opcode])
    text += "\n## Weight formats\n\n" + _table(
        ["value", "format", "in this core"],
        [(f.value, f"`{f.name}`", "yes" if f in config.formats else "no") for f in WeightFormat],
    )
    text += "\n## Error codes\n\n" + _table(
        ["value", "code", "meaning"], [(e.value, f"`{e.name}`", e.meaning) for e in format.ErrorCode]
    )
    text += "\n## Profile\n\n" + _profile(config)
    return (
        text
        + "\n## Numbers of this core\n\n"
        + _table(
            ["what", "value"],
            [
                ("array, rows x cols", f"{config.rows} x {config.cols}"),
                ("activation memory, words x bytes", f"{config.activation_depth} x {config.word_bytes}"),
                ("activations that the accumulators hold", config.accumulator_depth),
                ("weight stream word, bits", config.stream_width),
                ("alignment of a layer's stream, bytes", config.stream_alignment),
                ("decode lanes", config.decode_lanes),
                ("decode steps in a tile", config.steps_per_tile),
                ("codebooks in a lane's RAM, each of 32-bit words", f"{CODEBOOK_PAGES} x {config.codebook_depth}"),
                ("largest vector_dim", config.max_vector_dim),
                ("requantizer passes, each of lanes", f"{config.requantize_groups} x {config.requantize_lanes}"),
            ],
        )
    )


def _descriptor_row(field: format.Field) -> tuple[int, str, str, str, str, str]:
    kind = f"{'int' if field.signed else 'uint'}{field.width}"
    opcodes = ", ".join(opcode.name for opcode in field.opcodes) or "all"
    return field.word, _bit_range(field.lsb, field.width), f"`{field.name}`", kind, opcodes, field.doc


def _profile(config: CoreConfig) -> str:
    if config.profile_depth == 0:
        return "This core records none: `PROFILE_DATA` reads zero.\n"
    text = (
        f"{PROFILE_WORDS} words for each of the first {config.profile_depth} descriptors: `PROFILE_ADDR` is"
        f" {PROFILE_WORDS} * descriptor + word. Times are values of `TOTAL_CYCLES`.\n\n"
    )
    return text + _table(
        ["word", "name", "meaning"],
        [(number, f"`{name}`", doc) for number, (name, doc) in enumerate(PROFILE_FIELDS)],
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the register reference of any core to the file that is named."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if len(given) != 1:
        print("usage: python -m ssvq_gen.docs FILE", file=sys.stderr)
        return 2
    write_whole(Path(given[0]), registers_markdown())
    return 0


if __name__ == "__main__":
    sys.exit(main())
