"""nextpnr's report in the names of our signals."""

from typing import Any

import pytest

from ssvq_gen.synthesis.timing import Hop, parse_timing, signal_name
from ssvq_gen.toolbox import ToolError


def step(kind: str, delay: float, begins: str, ends: str) -> dict[str, Any]:
    return {"type": kind, "delay": delay, "from": {"cell": begins}, "to": {"cell": ends}}


REPORT = {
    "fmax": {"$glbnet$clock$TRELLIS_IO_IN": {"achieved": 98.7654, "constraint": 200.0}},
    "critical_paths": [
        {"from": "<async>", "to": "posedge $glbnet$clock$TRELLIS_IO_IN", "path": []},
        {
            "from": "posedge $glbnet$clock$TRELLIS_IO_IN",
            "to": "posedge $glbnet$clock$TRELLIS_IO_IN",
            "path": [
                step("clk-to-q", 0.5, "core.load.count_TRELLIS_FF_Q_3", "core.load.count_TRELLIS_FF_Q_3"),
                step("routing", 1.25, "core.load.count_TRELLIS_FF_Q_3", "core.store.sum_LUT4_Z"),
                step("logic", 0.25, "core.store.sum_LUT4_Z", "core.store.sum_LUT4_Z"),
                step("routing", 1.0, "core.store.sum_LUT4_Z", "core.store.sum_TRELLIS_FF_Q_1"),
                step("setup", 0.0, "core.store.sum_TRELLIS_FF_Q_1", "core.store.sum_TRELLIS_FF_Q_1"),
            ],
        },
    ],
    "utilization": {"TRELLIS_FF": {"used": 4, "available": 100}, "DCCA": {"used": 0, "available": 60}},
}


@pytest.mark.parametrize(
    ("cell", "signal"),
    [
        ("core.matmul$425.feeder.walk.addr_TRELLIS_FF_Q_3", "matmul.feeder.walk.addr"),
        ("core.vector.walk.address$35_TRELLIS_FF_Q_DI_LUT4_Z_D_CCU2C_S0", "vector.walk.address$35"),
        ("core.activations.bank1.0.2_DIA4_TRELLIS_FF_Q_DI_LUT4_Z", "activations.bank1.0.2"),
        ("core.matmul.array.row0.products_SB_DFFE_Q_3", "matmul.array.row0.products"),
        ("core.load.count_DFFRE_Q_1_D_ALU_SUM", "load.count"),
        ("stimulus_TRELLIS_FF_Q_2", "stimulus"),
        ("core.matmul.array.row0.weight", "matmul.array.row0.weight"),
    ],
)
def test_signal_names(cell: str, signal: str) -> None:
    assert signal_name(cell) == signal


def test_report() -> None:
    timing = parse_timing(REPORT)
    assert timing.fmax_mhz == 98.77
    assert timing.path == (
        Hop(signal="load.count", logic_ns=0.5, routing_ns=1.25),
        Hop(signal="store.sum", logic_ns=0.25, routing_ns=1.0),
    )
    assert timing.used == {"TRELLIS_FF": (4, 100)}


def test_report_without_a_clock() -> None:
    with pytest.raises(ToolError, match="report has 0 clocks named clock, not one"):
        parse_timing({"fmax": {}, "critical_paths": [], "utilization": {}})
