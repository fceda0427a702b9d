"""Every rule of a configuration, with the text that a user reads when it is broken."""

import re
from pathlib import Path
from typing import Any

import pytest

from ssvq_gen.config import PRESETS, ConfigError, CoreConfig, WeightFormat

SMALL: dict[str, Any] = {"rows": 8, "cols": 8, "axi_data_width": 32, "activation_bytes": 4096}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "a b"}, "name must be an identifier (letters, digits, underscores), not 'a b'"),
        ({"name": 3}, "name must be an identifier (letters, digits, underscores), not 3"),
        ({"rows": 12}, "rows must be a power of two from 4 to 128, not 12"),
        ({"rows": 256}, "rows must be a power of two from 4 to 128, not 256"),
        ({"rows": True}, "rows must be a power of two from 4 to 128, not True"),
        ({"cols": "8"}, "cols must be a power of two from 8 to 128, not '8'"),
        ({"cols": 4}, "cols must be a power of two from 8 to 128, not 4"),
        ({"axi_data_width": 16}, "axi_data_width must be a power of two from 32 to 512, not 16"),
        ({"axi_data_width": 1024}, "axi_data_width must be a power of two from 32 to 512, not 1024"),
        ({"axi_addr_width": 31}, "axi_addr_width must be an integer from 32 to 64, not 31"),
        ({"axi_addr_width": 40.0}, "axi_addr_width must be an integer from 32 to 64, not 40.0"),
        ({"accumulator_depth": 2}, "accumulator_depth must be a power of two from 4 to 4096, not 2"),
        ({"max_codebook_size": 3}, "max_codebook_size must be a power of two from 2 to 4096, not 3"),
        ({"weight_buffer_depth": 32}, "weight_buffer_depth must be a power of two from 64 to 8192, not 32"),
        ({"activation_bytes": 100}, f"activation_bytes must be an integer from 128 to {1 << 24}, not 100"),
        ({"activation_bytes": 1001}, "activation_bytes must be a multiple of 2 memory words of 8 bytes, not 1001"),
        ({"weight_cache_bytes": 512}, f"weight_cache_bytes must be a power of two from 1024 to {1 << 22}, not 512"),
        ({"weight_cache_bytes": 3000}, f"weight_cache_bytes must be a power of two from 1024 to {1 << 22}, not 3000"),
        ({"profile_depth": 1}, "profile_depth must be a power of two from 2 to 4096, not 1"),
        ({"profile_depth": 8192}, "profile_depth must be a power of two from 2 to 4096, not 8192"),
        ({"attention": 1}, "attention must be true or false, not 1"),
        ({"convolution": "no"}, "convolution must be true or false, not 'no'"),
        ({"target": "xc6"}, "target must be one of generic, xc7, xcup, ecp5, not 'xc6'"),
        ({"packed_macs": 1}, "packed_macs must be true or false, not 1"),
        (
            {"packed_macs": True},
            "packed_macs must be false when target is 'generic'; DSP blocks for it have xc7, xcup",
        ),
        (
            {"target": "ecp5", "packed_macs": True},
            "packed_macs must be false when target is 'ecp5'; DSP blocks for it have xc7, xcup",
        ),
        ({"decode_lanes": 3}, "decode_lanes must be 8 when cols is 8, not 3"),
        ({"cols": 32, "decode_lanes": 4}, "decode_lanes must be 32 or 16 or 8 when cols is 32, not 4"),
        ({"decode_lanes": 8.0}, "decode_lanes must be an integer, not 8.0"),
        ({"weight_cache_bytes": False}, "weight_cache_bytes must be an integer, not False"),
        ({"profile_depth": 0.0}, "profile_depth must be an integer, not 0.0"),
        ({"requantize_lanes": 16}, "requantize_lanes must be a power of two from 1 to 8, not 16"),
        ({"formats": ()}, "formats must name at least one of int8, ssvq, vq"),
        ({"formats": ("fp4",)}, "formats must be a list out of int8, ssvq, vq, not 'fp4'"),
        ({"formats": (7,)}, "formats must be a list out of int8, ssvq, vq, not 7"),
    ],
)
def test_rules(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        CoreConfig(**{**SMALL, **changes})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({**SMALL, "row": 8}, "unknown parameter 'row'; known are accumulator_depth, activation_bytes,"),
        ({"rows": 8, "cols": 8}, "parameter 'activation_bytes' is missing"),
        ({**SMALL, "formats": "ssvq"}, "formats must be a list, not 'ssvq'"),
    ],
)
def test_from_dict_rules(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        CoreConfig.from_dict(data)


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
def test_dict_and_back(config: CoreConfig) -> None:
    assert CoreConfig.from_dict(config.to_dict()) == config
    assert CoreConfig.load(config.name) is config


def test_presets_are_what_the_readme_says() -> None:
    sizes = {name: (c.rows, c.cols, c.axi_data_width) for name, c in PRESETS.items()}
    assert sizes == {"tiny": (8, 8, 32), "edge": (16, 16, 64), "base": (32, 32, 64), "large": (64, 64, 128)}
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    for name, c in PRESETS.items():
        memory = f"{c.activation_bytes >> 10} KiB"
        assert f"| `{name}` | {c.rows} x {c.cols} | {c.axi_data_width} | {memory} | {c.accumulator_depth} |" in readme


def test_every_parameter_is_in_the_readme() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in readme for name in PRESETS["tiny"].to_dict() if name != "name")


def test_formats_by_name_or_value() -> None:
    assert CoreConfig(**SMALL, formats=("vq", 0, "VQ")).formats == (WeightFormat.INT8, WeightFormat.VQ)
    without = CoreConfig(**SMALL, formats=("int8",))
    assert not without.has_codebook
    assert without.plane_count == 8


def test_toml_with_preset(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('preset = "base"\nrows = 16\ncols = 16\nformats = ["ssvq"]\n')
    config = CoreConfig.load(str(path))
    assert config == PRESETS["base"].replace(name="mine", rows=16, cols=16, formats=(WeightFormat.SSVQ,))
    assert config.decode_lanes <= 16


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('preset = "huge"\n', "preset must be one of tiny, edge, base, large, not 'huge'"),
        ("rows = 8\n", "parameter 'cols' is missing"),
        ("rows = \n", "Invalid value"),
        ("preset = [1]\n", "preset must be one of tiny, edge, base, large, not [1]"),
        ("rows = " + "[" * 5000, "maximum recursion depth exceeded"),
        ("rows = " + "9" * 5000, "Exceeds the limit"),
        ("rows = 8\ncols = 8\nactivation_bytes = 0x" + "f" * 5000, "Exceeds the limit"),
        ('preset = "tiny"\nrows = 5\n', "rows must be a power of two from 4 to 128, not 5"),
    ],
)
def test_toml_rules(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=f"^{re.escape(str(path))}: {re.escape(message)}"):
        CoreConfig.load(str(path))


def test_toml_missing_or_binary(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        CoreConfig.load(str(tmp_path / "none.toml"))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="codec can't decode"):
        CoreConfig.load(str(tmp_path / "binary.toml"))


def test_load_names_the_presets() -> None:
    with pytest.raises(ConfigError, match=r"^'nano' is neither a preset \(tiny, edge, base, large\) nor a \.toml"):
        CoreConfig.load("nano")


def test_digest_is_stable_and_covers_what_programs_depend_on() -> None:
    edge = PRESETS["edge"]
    assert edge.digest == 0x029D_519A_6FDC_3B33, "programs compiled for this core no longer run on it"
    same: dict[str, Any] = {"name": "other", "target": "xc7", "packed_macs": True}
    assert edge.replace(**same).digest == edge.digest
    changes: list[dict[str, Any]] = [
        {"rows": 32},
        {"cols": 32},
        {"axi_data_width": 32},
        {"axi_addr_width": 33},
        {"activation_bytes": 8 << 10},
        {"accumulator_depth": 32},
        {"max_codebook_size": 128},
        {"decode_lanes": 8},
        {"requantize_lanes": 2},
        {"weight_buffer_depth": 64},
        {"weight_cache_bytes": 1 << 10},
        {"profile_depth": 0},
        {"attention": False},
        {"convolution": False},
        {"vector": False},
        {"vector_lanes": 4},
        {"depthwise_taps": 5},
        {"formats": (WeightFormat.SSVQ,)},
    ]
    digests = {edge.replace(**change).digest for change in changes} | {edge.digest}
    assert len(digests) == len(changes) + 1
    assert {key for change in changes for key in change} | set(same) == set(edge.to_dict())
