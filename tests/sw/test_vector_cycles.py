"""Least cycles of vector operations, counted by hand."""

from __future__ import annotations

from typing import Any

import pytest

from ssvq.vector_cycles import vector_cycles
from ssvq_gen.config import PRESETS
from ssvq_gen.format import Opcode, ParameterPlane, TableUse, pack_descriptor, unpack_descriptor

LANES = PRESETS["tiny"].vector_lanes
CONFIG = PRESETS["tiny"]


def cycles(opcode: Opcode, **values: Any) -> int:
    return vector_cycles(CONFIG, unpack_descriptor(pack_descriptor({"opcode": opcode, **values})))


def window(opcode: Opcode, *, padding: int = 0, width: int = 5, **values: Any) -> int:
    """A 3 x 3 kernel over an image of 5 x `width` pixels, or more where it is padded."""
    size = {"input_height": 5, "input_width": width, "kernel_height": 3, "kernel_width": 3, "stride_y": 1}
    size |= {"stride_x": 1, "dilation_y": 1, "dilation_x": 1, "origin_y": -padding, "origin_x": -padding}
    columns, rows = width + 2 * padding - 2, 5 + 2 * padding - 2
    return cycles(opcode, channels=LANES, tokens=rows * columns, output_width=columns, **size | values)


def test_channels_by_lanes() -> None:
    assert cycles(Opcode.SUM, channels=3 * LANES, tokens=10) == 30
    assert cycles(Opcode.SUM, channels=2 * LANES + 1, tokens=10, has_second=1) == 60
    assert cycles(Opcode.SUM, channels=LANES, tokens=10, table_use=int(TableUse.LOAD)) == 10 + 256
    assert cycles(Opcode.SUM, channels=LANES, tokens=10, table_use=int(TableUse.KEPT)) == 10


def test_operations_that_read_several_times() -> None:
    planes = ParameterPlane.MULTIPLIER | ParameterPlane.GAIN_SHIFT
    assert cycles(Opcode.LAYERNORM, channels=4 * LANES, tokens=10, planes=int(planes)) == 4 * (2 * 10 + 3) + 10
    assert cycles(Opcode.SOFTMAX, channels=4 * LANES, tokens=10) == 4 * 3 * 10 + 10


def test_windows() -> None:
    assert window(Opcode.POOL) == 9 * 9
    assert window(Opcode.DEPTHWISE) == 9 * 9 + 9
    # windows of a row share their columns: 5 of 3 pixels for each of 3 rows
    assert window(Opcode.DEPTHWISE, extra_taps=2) == 3 * 5 * 3 + 9
    # a column outside the image takes one cycle: of 15 columns of a row of windows 2, of 7 shared ones 2
    assert window(Opcode.POOL, padding=1) == 5 * (13 * 3 + 2)
    assert window(Opcode.DEPTHWISE, padding=1, extra_taps=2) == 5 * (5 * 3 + 2) + 9


@pytest.mark.parametrize("opcode", [Opcode.LOAD, Opcode.STORE, Opcode.MATMUL, Opcode.PRODUCT, Opcode.CONV])
def test_what_is_not_for_the_vector_unit(opcode: Opcode) -> None:
    assert vector_cycles(CONFIG, unpack_descriptor(pack_descriptor({"opcode": opcode}))) == 0
