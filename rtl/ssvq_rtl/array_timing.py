"""When activations pass the rows of the MAC array, in enabled cycles after they enter it."""

from ssvq_gen.config import ECP5, LANE_WEIGHTS, PACKING_PORTS, CoreConfig

WEIGHT_WIDTH = 8
_PRODUCT_BITS = 15
"""A product of two int8 is from -2^14 + 2^7 to 2^14: n of them span less than n * 2^15 values."""
CORRECTION_LATENCY = 2
"""Cycles from activations to what corrects the low half of packed sums, see `packed_rows`."""


def low_width(config: CoreConfig) -> int:
    """Bits of the lower of two packed sums: what the upper weight leaves of the multiplier's operand."""
    return PACKING_PORTS[config.target] - WEIGHT_WIDTH


def segment_rows(config: CoreConfig) -> int:
    """Rows whose products are added before a packed sum is split in two: as many as the lower sum has room for."""
    return min(config.rows, 1 << (low_width(config) - _PRODUCT_BITS)) if config.packed_macs else config.rows


def segment_delay(config: CoreConfig) -> int:
    """Enabled cycles from the first row of a segment to the first of the next.

    Weights arrive by blocks of rows, and a block is written again when its last row has taken over its weights: no row
    of a later block may wait for its weights before that. Where a segment is a block, 1 cycle is enough.
    """
    rows = segment_rows(config)
    return 1 if rows == LANE_WEIGHTS else rows


def activation_lead(config: CoreConfig) -> int:
    """Enabled cycles that a row takes its activation before it is multiplied: registers inside multiplier blocks."""
    return 1 if config.target == ECP5 else 0


def input_delay(config: CoreConfig) -> int:
    """Cycles, enabled or not, that the array is behind what it is given: registers at its inputs."""
    return 1 if config.target == ECP5 else 0


def addition_delay(config: CoreConfig) -> int:
    """Enabled cycles from a multiplication to the addition of its product."""
    return 2 if config.target == ECP5 else 1


def row_delays(config: CoreConfig) -> tuple[int, ...]:
    """Enabled cycles after which an activation is multiplied in each row."""
    if not config.packed_macs:
        lead = activation_lead(config)
        return tuple(range(lead, lead + config.rows))
    rows, apart = segment_rows(config), segment_delay(config)
    return tuple(CORRECTION_LATENCY - 1 + row % rows + row // rows * apart for row in range(config.rows))


def array_latency(config: CoreConfig) -> int:
    """Enabled cycles from an activation to its sums."""
    return row_delays(config)[-1] + (3 if config.packed_macs else 1 + addition_delay(config))
