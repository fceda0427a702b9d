"""The manifest of a generated core: everything that software or a build script may want to know, as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from . import arithmetic, format, stream_format
from .config import CODEBOOK_PAGES, LANE_WEIGHTS, MAX_BURST_BEATS, CoreConfig, WeightFormat
from .registers import AXIL_ADDR_WIDTH, CORE_ID, CORE_VERSION, REGISTERS, Register
from .verilog import TOP, Port

MANIFEST_VERSION = 1


def digest_text(config: CoreConfig) -> str:
    """The configuration digest as it is written everywhere: 0x and 16 hexadecimal digits."""
    return f"{config.digest:#018x}"


def register_init(register: Register, config: CoreConfig) -> int:
    """Value of a register after reset in this core; the digest depends on the configuration."""
    if register.name == "DIGEST_LO":
        return config.digest & 0xFFFF_FFFF
    if register.name == "DIGEST_HI":
        return config.digest >> 32
    return register.init


def _registers(config: CoreConfig) -> list[dict[str, Any]]:
    return [
        {
            "name": r.name,
            "offset": r.offset,
            "access": r.access.value,
            "init": register_init(r, config),
            "doc": r.doc,
            "bits": [asdict(b) for b in r.bits],
        }
        for r in REGISTERS
    ]


def _weight_stream(config: CoreConfig) -> dict[str, int]:
    return {
        "word_width": config.stream_width,
        "word_bytes": config.stream_bytes,
        "alignment_bytes": config.stream_alignment,
        "lane_weights": LANE_WEIGHTS,
        "decode_lanes": config.decode_lanes,
        "steps_per_tile": config.steps_per_tile,
        "codebook_depth": config.codebook_depth,
        "codebook_pages": CODEBOOK_PAGES,
        "max_vector_dim": config.max_vector_dim,
        "requantize_groups": config.requantize_groups,
        "channel_parameter_width": stream_format.CHANNEL_PARAMETER_WIDTH,
        "narrow_bias_width": stream_format.NARROW_BIAS_WIDTH,
    }


def _arithmetic() -> dict[str, int]:
    return {
        "activation_min": arithmetic.ACTIVATION_MIN,
        "activation_max": arithmetic.ACTIVATION_MAX,
        "weight_min": arithmetic.WEIGHT_MIN,
        "weight_max": arithmetic.WEIGHT_MAX,
        "magnitude_max": arithmetic.MAGNITUDE_MAX,
        "accumulator_width": arithmetic.ACCUMULATOR_WIDTH,
        "bias_width": arithmetic.BIAS_WIDTH,
        "mantissa_width": arithmetic.MANTISSA_WIDTH,
        "exponent_width": arithmetic.EXPONENT_WIDTH,
        "min_shift": arithmetic.MIN_SHIFT,
    }


def manifest(config: CoreConfig, ports: Sequence[Port], files: Mapping[str, str]) -> dict[str, Any]:
    """Plain data of the manifest; `files` are the other generated files, recorded by their SHA-256."""
    return {
        "manifest_version": MANIFEST_VERSION,
        "top": TOP,
        "core_id": CORE_ID,
        "core_version": CORE_VERSION,
        "digest": digest_text(config),
        "config": config.to_dict(),
        "ports": [asdict(p) for p in ports],
        "register_address_width": AXIL_ADDR_WIDTH,
        "registers": _registers(config),
        "max_burst_beats": MAX_BURST_BEATS,
        "dram_alignment_bytes": format.DRAM_ALIGNMENT,
        "activation_memory": {"word_bytes": config.word_bytes, "depth": config.activation_depth},
        "descriptor": {
            "bytes": format.DESCRIPTOR_BYTES,
            "magic": format.DESCRIPTOR_MAGIC,
            "fields": [asdict(f) for f in format.DESCRIPTOR_FIELDS],
        },
        "opcodes": {o.name: o.value for o in format.Opcode},
        "weight_formats": {f.name: f.value for f in WeightFormat},
        "error_codes": {e.name: {"value": e.value, "meaning": e.meaning} for e in format.ErrorCode},
        "weight_stream": _weight_stream(config),
        "arithmetic": _arithmetic(),
        "sha256": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in sorted(files.items())},
    }


def manifest_text(config: CoreConfig, ports: Sequence[Port], files: Mapping[str, str]) -> str:
    """The manifest as JSON, indented."""
    return json.dumps(manifest(config, ports, files), indent=2) + "\n"
