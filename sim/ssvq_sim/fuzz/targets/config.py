"""The configuration of a core: TOML."""

from __future__ import annotations

from ssvq_gen.config import PRESETS, ConfigError, CoreConfig

from ..scratch import as_file
from ..target import Target
from .toml_text import toml_text, toml_tree


def _seeds() -> list[bytes]:
    tiny = PRESETS["tiny"].to_dict()
    return [toml_text(tiny), toml_text({"preset": "base", "rows": 16, "formats": ["int8", "ssvq"], "target": "xc7"})]


def _read(data: bytes) -> CoreConfig:
    config = CoreConfig.from_toml(as_file(data, "config.toml"))
    _ = config.digest
    return config


def _write(config: CoreConfig) -> bytes:
    return toml_text(config.to_dict())


TARGET = Target(
    name="config",
    seeds=_seeds,
    errors=(ConfigError,),
    read=_read,
    write=_write,
    apart=toml_tree,
    together=toml_text,
)
