"""Checks of constructor arguments that every component shares; each message names the rule and the value."""

from ssvq_gen.config import CoreConfig


def require_config(config: object) -> CoreConfig:
    """Return `config`; raises TypeError unless it is a CoreConfig."""
    if not isinstance(config, CoreConfig):
        raise TypeError(f"config must be a CoreConfig, not {config!r}")
    return config


def require_range(name: str, value: object, low: int, high: int) -> int:
    """Return `value`; raises TypeError unless it is an integer, ValueError unless it is from `low` to `high`."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, not {value!r}")
    if not low <= value <= high:
        raise ValueError(f"{name} must be from {low} to {high}, not {value}")
    return value


def require_power_of_two(name: str, value: object, low: int, high: int) -> int:
    """Return `value`; raises TypeError or ValueError unless it is a power of two from `low` to `high`."""
    checked = require_range(name, value, low, high)
    if checked & (checked - 1):
        raise ValueError(f"{name} must be a power of two, not {checked}")
    return checked
