"""A cocotb module that breaks one rule of AXI, whose name is in the environment, on the ports of `axi_checks`."""

from __future__ import annotations

import os
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

RULE_VARIABLE = "SSVQ_RULE"
READ = {"araddr": 0x1000, "arlen": 3, "arsize": 3, "arburst": 1, "arvalid": 1}
WRITE = {"awaddr": 0x1000, "awlen": 1, "awsize": 3, "awburst": 1, "awvalid": 1, "awready": 1}

Change = dict[str, int]
RULES: dict[str, tuple[list[Change], str]] = {
    "none": (
        [
            {**READ, "arready": 1, **WRITE},
            {"arvalid": 0, "awvalid": 0, "wvalid": 1, "wready": 1, "wdata": 5},
            {"wready": 0, "wdata": 6, "wlast": 1},
            {"wready": 1},
            {"wvalid": 0, "bvalid": 1, "bready": 1},
            {"bvalid": 0},
        ],
        "",
    ),
    "ar payload": ([READ, {"araddr": 0x2000}], "AR: valid or payload changed before ready"),
    "ar valid": ([READ, {"arvalid": 0}], "AR: valid or payload changed before ready"),
    "aw payload": ([{**WRITE, "awready": 0}, {"awlen": 2}], "AW: valid or payload changed before ready"),
    "w payload": (
        [WRITE, {"awvalid": 0, "wvalid": 1, "wdata": 5}, {"wdata": 6}],
        "W: valid or payload changed before ready",
    ),
    "register answer": (
        [{"s_rvalid": 1, "s_rdata": 7}, {"s_rdata": 8}],
        "AXI4-Lite R: valid or payload changed before ready",
    ),
    "register write answer": (
        [{"s_bvalid": 1}, {"s_bvalid": 0}],
        "AXI4-Lite B: valid or payload changed before ready",
    ),
    "burst type": ([{**READ, "arburst": 0}], "AR: the burst type must be INCR"),
    "beat size": ([{**READ, "arsize": 2}], "AR: a beat must be as wide as the bus"),
    "alignment": ([{**WRITE, "awaddr": 0x1004}], "AW: the address must be aligned to a beat"),
    "length": ([{**READ, "arlen": 16}], "AR: the burst is longer than the core may issue"),
    "page": ([{**WRITE, "awaddr": 0x1FF8}], "AW: the burst crosses 4 KB"),
    "early data": ([{"wvalid": 1, "wready": 1}], "W: data before its address was accepted"),
    "early last": (
        [WRITE, {"awvalid": 0, "wvalid": 1, "wready": 1, "wlast": 1}],
        "W: WLAST is not at the end of the burst",
    ),
    "late last": (
        [WRITE, {"awvalid": 0, "wvalid": 1, "wready": 1, "wlast": 0}, {}],
        "W: WLAST is not at the end of the burst",
    ),
    "response": ([{"bvalid": 1, "bready": 1}], "B: a response without a burst"),
}
"""By name: what changes on the ports cycle after cycle, and the rule that this breaks."""
BEFORE_RESET = "before the first reset"
"""A valid is high then, which breaks no rule."""
RESET_RULE = ("reset", "a valid is high in the cycle after reset")


@cocotb.test()
async def break_rule(dut: Any) -> None:
    """Ends normally when no rule is broken."""
    name = os.environ[RULE_VARIABLE]
    edge = RisingEdge(dut.clk)
    for port in ("rstn", *_INPUTS):
        getattr(dut, port).value = 0
    Clock(dut.clk, 10, unit="ns").start()
    if name == BEFORE_RESET:
        dut.rstn.value = dut.awvalid.value = 1
        await edge
        await edge
        dut.rstn.value = dut.awvalid.value = 0
    for _ in range(3):
        await edge
    if name == RESET_RULE[0]:
        dut.awvalid.value = 1
    dut.rstn.value = 1
    for change in [{}, {}, *RULES.get(name, ([], ""))[0], {}, {}, {}]:
        for port_name, value in change.items():
            getattr(dut, port_name).value = value
        await edge


_INPUTS = {
    *("arvalid", "arready", "araddr", "arlen", "arsize", "arburst"),
    *("awvalid", "awready", "awaddr", "awlen", "awsize", "awburst"),
    *("wvalid", "wready", "wdata", "wstrb", "wlast", "bvalid", "bready"),
    *("s_bvalid", "s_bready", "s_bresp", "s_rvalid", "s_rready", "s_rdata", "s_rresp"),
}
