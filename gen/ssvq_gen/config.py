"""The configuration of a generated core: user parameters, their rules, and what follows from them."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import Any

LANE_WEIGHTS = 4
"""Weights a decode lane delivers per cycle: four rows of one column, one 32-bit word of codebook RAM."""

MIN_DECODE_LANES = 8
"""Fewer lanes would make a word of the weight stream narrower than a word of codebook RAM."""

ACTIVATION_BANKS = 2
"""Banks of the activation memory, by the lowest bit of a word's address: while the array reads activations from one,
the operand loader, LOAD and STORE find the other free."""

CODEBOOK_PAGES = 2
"""Codebooks in each lane's RAM: the next one is written while the last steps still read the one before."""
CODEBOOK_WORD_WIDTH = 8 * LANE_WEIGHTS

MIN_VECTOR_LANES = 4
MAX_DEPTHWISE_TAPS = 5
DEFAULT_DEPTHWISE_TAPS = 3

MAX_VECTOR_DIM = 32

GENERIC = "generic"
ECP5 = "ecp5"
PACKING_PORTS = {"xc7": 25, "xcup": 27}
"""Bits of the signed operand of a DSP block's multiplier that takes the weights of two MACs, by target."""
TARGETS = (GENERIC, *PACKING_PORTS, ECP5)
"""FPGA families with cells of their own; every other takes the generic ones."""
CELL_TARGETS = (ECP5,)
"""Those whose cells are instantiated: such a core is for no other family."""

MAX_BURST_BEATS = 16
"""Longest AXI burst the core issues: what AXI3 ports (Zynq-7000 HP) accept without a converter."""


_NOT_IN_DIGEST = ("name", "target", "packed_macs")
_ZERO_ALLOWED = ("decode_lanes", "requantize_lanes", "weight_cache_bytes", "profile_depth", "vector_lanes")


class ConfigError(ValueError):
    """A configuration breaks a rule; the message names the parameter, the rule and the value."""


class WeightFormat(IntEnum):
    """How a layer's weights are stored in DRAM. The value is the code in a descriptor."""

    INT8 = 0
    SSVQ = 1
    VQ = 2


def _log2(value: int) -> int:
    return value.bit_length() - 1


def _is_power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


def _require_power_of_two(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not _is_power_of_two(value) or not low <= value <= high:
        raise ConfigError(f"{name} must be a power of two from {low} to {high}, not {value!r}")


def _require_range(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ConfigError(f"{name} must be an integer from {low} to {high}, not {value!r}")


@dataclass(frozen=True, kw_only=True)
class CoreConfig:
    """Parameters of one generated core.

    Parameters
    ----------
    name : identifier that names build folders and generated files
    rows, cols : size of the MAC array; rows reduce over input channels, cols are output channels
    axi_data_width : bits of the AXI4 data bus
    axi_addr_width : bits of an AXI4 byte address
    activation_bytes : size of the on-chip activation memory
    accumulator_depth : activations (tokens) that the accumulator memory holds
    max_codebook_size : largest number of codewords; a codebook of ``max_codebook_size`` codewords may have
        up to 8 weights each, larger vector dimensions need proportionally fewer codewords
    decode_lanes : codebook reads per cycle, each of 4 weights; 0 chooses enough to keep up with the bus
    requantize_lanes : output channels requantized per cycle; 0 chooses all columns;
        with fewer, the last tile of each column takes `cols / requantize_lanes` cycles an activation
    weight_buffer_depth : beats of compressed weights buffered ahead of the decoder
    weight_cache_bytes : memory in which compressed weights stay to be decoded again; 0 leaves it out
    profile_depth : descriptors whose times and counters are recorded; 0 leaves the records out
    attention : generate PRODUCT, the product of two activation tensors
    convolution : generate CONV, which finds the inputs of any kernel in an image
    vector : generate the vector unit: sums, products, tables, LayerNorm, softmax and pooling of activations
    vector_lanes : channels that it takes at once; 0 chooses those of a word of the activation memory
    depthwise_taps : multipliers of a lane in a depthwise convolution, each for another of the windows that have a pixel
        in common; 0 leaves depthwise convolutions out, and is what it is without the vector unit
    formats : weight formats the core can decode
    target : FPGA family whose cells the array is made of; `GENERIC` is for all
    packed_macs : two MACs in a DSP block, on the targets of `PACKING_PORTS`

    Programs and drivers see nothing of `target` and `packed_macs` but cycles: these are not in the digest.

    Raises
    ------
    ConfigError : a value breaks a rule
    """

    name: str = "custom"
    rows: int
    cols: int
    axi_data_width: int = 64
    axi_addr_width: int = 40
    activation_bytes: int
    accumulator_depth: int = 256
    max_codebook_size: int = 256
    decode_lanes: int = 0
    requantize_lanes: int = 0
    weight_buffer_depth: int = 512
    weight_cache_bytes: int = 0
    profile_depth: int = 64
    attention: bool = True
    convolution: bool = True
    vector: bool = True
    vector_lanes: int = 0
    depthwise_taps: int = DEFAULT_DEPTHWISE_TAPS
    formats: tuple[WeightFormat, ...] = (WeightFormat.INT8, WeightFormat.SSVQ, WeightFormat.VQ)
    target: str = GENERIC
    packed_macs: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise ConfigError(f"name must be an identifier (letters, digits, underscores), not {self.name!r}")
        for name in _ZERO_ALLOWED:
            if type(value := getattr(self, name)) is not int:  # what equals 0 or a choice may still be no integer
                raise ConfigError(f"{name} must be an integer, not {value!r}")
        _require_power_of_two("rows", self.rows, 4, 128)
        _require_power_of_two("cols", self.cols, MIN_DECODE_LANES, 128)
        _require_power_of_two("axi_data_width", self.axi_data_width, 32, 512)
        _require_range("axi_addr_width", self.axi_addr_width, 32, 64)
        _require_power_of_two("accumulator_depth", self.accumulator_depth, 4, 4096)
        _require_power_of_two("max_codebook_size", self.max_codebook_size, 2, 4096)
        _require_power_of_two("weight_buffer_depth", self.weight_buffer_depth, 4 * MAX_BURST_BEATS, 8192)
        _require_range("activation_bytes", self.activation_bytes, 16 * self.word_bytes, 1 << 24)
        if self.activation_bytes % (ACTIVATION_BANKS * self.word_bytes):
            raise ConfigError(
                f"activation_bytes must be a multiple of {ACTIVATION_BANKS} memory words of {self.word_bytes} bytes, "
                f"not {self.activation_bytes}"
            )
        if self.weight_cache_bytes != 0:
            _require_power_of_two("weight_cache_bytes", self.weight_cache_bytes, 1 << 10, 1 << 22)
        if self.profile_depth != 0:
            _require_power_of_two("profile_depth", self.profile_depth, 2, 4096)
        if self.target not in TARGETS:
            raise ConfigError(f"target must be one of {', '.join(TARGETS)}, not {self.target!r}")
        for name in ("attention", "convolution", "packed_macs"):
            if not isinstance(value := getattr(self, name), bool):
                raise ConfigError(f"{name} must be true or false, not {value!r}")
        if self.packed_macs and self.target not in PACKING_PORTS:
            raise ConfigError(
                f"packed_macs must be false when target is {self.target!r}; DSP blocks for it have "
                f"{', '.join(PACKING_PORTS)}"
            )
        if self.decode_lanes == 0:
            wanted = self.axi_data_width // LANE_WEIGHTS
            object.__setattr__(self, "decode_lanes", min(max(wanted, self.lane_choices[-1]), self.cols))
        if self.decode_lanes not in self.lane_choices:
            choices = " or ".join(str(n) for n in self.lane_choices)
            raise ConfigError(f"decode_lanes must be {choices} when cols is {self.cols}, not {self.decode_lanes!r}")
        if self.requantize_lanes == 0:
            object.__setattr__(self, "requantize_lanes", self.cols)
        _require_power_of_two("requantize_lanes", self.requantize_lanes, 1, self.cols)
        self._choose_vector_lanes()
        object.__setattr__(self, "formats", self._checked_formats())

    def _choose_vector_lanes(self) -> None:
        if not isinstance(self.vector, bool):
            raise ConfigError(f"vector must be true or false, not {self.vector!r}")
        _require_range("depthwise_taps", self.depthwise_taps, 0, MAX_DEPTHWISE_TAPS)
        if not self.vector:
            object.__setattr__(self, "depthwise_taps", 0)
            if self.vector_lanes != 0:
                raise ConfigError(f"vector_lanes must be 0 without the vector unit, not {self.vector_lanes!r}")
            return
        if self.vector_lanes == 0:
            object.__setattr__(self, "vector_lanes", self.word_bytes)
        _require_power_of_two("vector_lanes", self.vector_lanes, MIN_VECTOR_LANES, self.word_bytes)

    def _checked_formats(self) -> tuple[WeightFormat, ...]:
        known = ", ".join(f.name.lower() for f in WeightFormat)
        chosen = set()
        for value in self.formats:
            try:
                chosen.add(WeightFormat[value.upper()] if isinstance(value, str) else WeightFormat(value))
            except (KeyError, ValueError):
                raise ConfigError(f"formats must be a list out of {known}, not {value!r}") from None
        if not chosen:
            raise ConfigError(f"formats must name at least one of {known}")
        return tuple(sorted(chosen))

    # Activation memory

    @property
    def word_bytes(self) -> int:
        """Bytes (channels) of one word of the activation memory: the wider side of the array."""
        return max(self.rows, self.cols)

    @property
    def activation_depth(self) -> int:
        """Words in the activation memory."""
        return self.activation_bytes // self.word_bytes

    @property
    def write_lanes(self) -> int:
        """Channels of a word of the activation memory that are written together."""
        return min(self.requantize_lanes, self.vector_lanes) if self.vector else self.requantize_lanes

    @property
    def vector_slots(self) -> int:
        """Groups of `vector_lanes` channels in a word of the activation memory."""
        return self.word_bytes // self.vector_lanes

    # Bus and weight stream

    @property
    def beat_bytes(self) -> int:
        """Bytes of one AXI beat."""
        return self.axi_data_width // 8

    @property
    def weight_cache_depth(self) -> int:
        """Beats in the weight cache."""
        return self.weight_cache_bytes // self.beat_bytes

    @property
    def stream_width(self) -> int:
        """Bits of a word of the weight stream: one bit for each weight that is decoded in a cycle."""
        return LANE_WEIGHTS * self.decode_lanes

    @property
    def stream_bytes(self) -> int:
        """Bytes of a word of the weight stream; one layer's stream is padded to `stream_alignment`."""
        return self.stream_width // 8

    @property
    def stream_alignment(self) -> int:
        """Bytes to which a layer's weight stream is padded, so that layers start on a beat and a word."""
        return max(self.beat_bytes, self.stream_bytes)

    # Array and decoder

    @property
    def lane_choices(self) -> tuple[int, ...]:
        """Legal `decode_lanes`: all, half or a quarter of the columns, and a stream word of 32 bits or more."""
        return tuple(n for n in (self.cols, self.cols // 2, self.cols // 4) if n >= MIN_DECODE_LANES)

    @property
    def column_groups(self) -> int:
        """Groups of `decode_lanes` columns that are loaded in turn."""
        return self.cols // self.decode_lanes

    @property
    def row_blocks(self) -> int:
        """Blocks of 4 rows that are loaded in turn."""
        return self.rows // LANE_WEIGHTS

    @property
    def steps_per_tile(self) -> int:
        """Decode steps (4 rows x `decode_lanes` columns) that fill one tile."""
        return self.row_blocks * self.column_groups

    @property
    def index_width(self) -> int:
        """Bits of the widest index."""
        return _log2(self.max_codebook_size)

    @property
    def codebook_depth(self) -> int:
        """32-bit words of one codebook; each lane's RAM holds `CODEBOOK_PAGES` of them."""
        return max(2 * self.max_codebook_size, 8)

    @property
    def codebook_write_words(self) -> int:
        """32-bit words of codebook that are written in a cycle, and that a word of a lane's RAM holds."""
        return min(2, self.stream_width // CODEBOOK_WORD_WIDTH)

    @property
    def codebook_ram_depth(self) -> int:
        """Words of a lane's codebook RAM, of `codebook_write_words` words each."""
        return CODEBOOK_PAGES * self.codebook_depth // self.codebook_write_words

    @property
    def plane_count(self) -> int:
        """Bit planes the unpacker holds: the widest index, or 8 for dense int8 weights."""
        widest = 8 if WeightFormat.INT8 in self.formats else 1
        return max(widest, self.index_width) if self.has_codebook else widest

    @property
    def has_codebook(self) -> bool:
        """True when a codebook format (SSVQ or VQ) is generated."""
        return WeightFormat.SSVQ in self.formats or WeightFormat.VQ in self.formats

    @property
    def max_vector_dim(self) -> int:
        """Largest subvector the array can take."""
        return min(self.rows, MAX_VECTOR_DIM)

    @property
    def partial_width(self) -> int:
        """Bits of a column's sum: `rows` products of two int8."""
        return 16 + _log2(self.rows)

    @property
    def requantize_groups(self) -> int:
        """Cycles in which one activation's `cols` accumulators are requantized."""
        return self.cols // self.requantize_lanes

    # Exchange

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as written to the manifest and read by `from_dict`."""
        data = asdict(self)
        data["formats"] = [f.name.lower() for f in self.formats]
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CoreConfig:
        """Build from plain data; raises ConfigError for unknown, missing or illegal values."""
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(data) - known)
        if unknown:
            raise ConfigError(f"unknown parameter {unknown[0]!r}; known are {', '.join(sorted(known))}")
        missing = [n for n in ("rows", "cols", "activation_bytes") if n not in data]
        if missing:
            raise ConfigError(f"parameter {missing[0]!r} is missing")
        values = dict(data)
        if "formats" in values:
            if not isinstance(values["formats"], (list, tuple)):
                raise ConfigError(f"formats must be a list, not {values['formats']!r}")
            values["formats"] = tuple(values["formats"])
        return cls(**values)

    @classmethod
    def from_toml(cls, path: Path) -> CoreConfig:
        """Read a TOML file of parameters; a `preset` key takes that preset's values for what is not given."""
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:  # tomllib has no error of its own for an endless integer
            raise ConfigError(f"{path}: {error}") from error
        data.setdefault("name", path.stem)
        base = data.pop("preset", None)
        if base is not None:
            if not isinstance(base, str) or base not in PRESETS:
                raise ConfigError(f"{path}: preset must be one of {', '.join(PRESETS)}, not {base!r}")
            data = {**PRESETS[base].to_dict(), **_lanes_chosen_anew(data), **data}
        try:
            return cls.from_dict(data)
        except ValueError as error:  # a ConfigError, or of an integer that has too many digits to be shown
            raise ConfigError(f"{path}: {error}") from error

    @classmethod
    def load(cls, source: str) -> CoreConfig:
        """A preset by name, or a TOML file by path."""
        if source in PRESETS:
            return PRESETS[source]
        if source.endswith(".toml"):
            return cls.from_toml(Path(source))
        raise ConfigError(f"{source!r} is neither a preset ({', '.join(PRESETS)}) nor a .toml file")

    @cached_property
    def digest(self) -> int:
        """64-bit fingerprint of what programs depend on; hardware and program images carry it."""
        data = {key: value for key, value in self.to_dict().items() if key not in _NOT_IN_DIGEST}
        text = json.dumps(data, sort_keys=True, separators=(",", ":"))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")

    def replace(self, **changes: Any) -> CoreConfig:
        """A copy with some parameters changed and checked again."""
        return replace(self, **{**_lanes_chosen_anew(changes), **changes})


def _lanes_chosen_anew(changes: Mapping[str, Any]) -> dict[str, int]:
    """Derived lane counts do not outlive the array or bus that they were derived from."""
    chosen = {"decode_lanes", "requantize_lanes"} if changes.keys() & {"rows", "cols", "axi_data_width"} else set()
    chosen |= {"vector_lanes"} if changes.keys() & {"rows", "cols", "vector"} else set()
    taps = {"depthwise_taps": DEFAULT_DEPTHWISE_TAPS} if "vector" in changes else {}
    return dict.fromkeys(sorted(chosen), 0) | taps


PRESETS: dict[str, CoreConfig] = {
    c.name: c
    for c in (
        CoreConfig(
            name="tiny",
            rows=8,
            cols=8,
            axi_data_width=32,
            axi_addr_width=32,
            activation_bytes=16 << 10,
            accumulator_depth=64,
            requantize_lanes=4,
            weight_buffer_depth=128,
            weight_cache_bytes=4 << 10,
            vector_lanes=4,
            profile_depth=16,
        ),
        CoreConfig(
            name="edge",
            rows=16,
            cols=16,
            axi_data_width=64,
            activation_bytes=128 << 10,
            weight_cache_bytes=32 << 10,
            vector_lanes=8,
        ),
        CoreConfig(
            name="base",
            rows=32,
            cols=32,
            axi_data_width=64,
            activation_bytes=384 << 10,
            weight_cache_bytes=64 << 10,
            depthwise_taps=5,
            profile_depth=256,
        ),
        CoreConfig(
            name="large",
            rows=64,
            cols=64,
            axi_data_width=128,
            activation_bytes=1024 << 10,
            weight_cache_bytes=128 << 10,
            vector_lanes=32,
            depthwise_taps=5,
            profile_depth=256,
        ),
    )
}
"""Ready configurations, smallest first."""
