"""The profile: read through the driver, checked, shown as a table and as a trace."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fake_device import FakeBus, Faults
from rich.console import Console

from ssvq.compile import compile_layers
from ssvq.driver import CounterMismatch, Device, DeviceBusy, DriverError, Profile, ProfileRow
from ssvq.driver.profile import check_profile
from ssvq.perfetto import LANES, trace_json
from ssvq.profile_table import profile_table
from ssvq_gen.config import PRESETS, CoreConfig, WeightFormat
from ssvq_gen.format import Opcode
from ssvq_gen.profile import PROFILE_CLASSES, profile_addr
from ssvq_sim.systems.layers import random_input, random_layer

TINY = PRESETS["tiny"].replace(axi_addr_width=40)
RNG = np.random.default_rng(0)
LAYERS = [
    (random_layer(RNG, weight_format=WeightFormat.SSVQ, out_channels=20, in_channels=30, name="up"), 5),
    (random_layer(RNG, weight_format=WeightFormat.INT8, out_channels=9, in_channels=8, name="down"), 7),
    (random_layer(RNG, weight_format=WeightFormat.VQ, out_channels=8, in_channels=16, name="last"), 2),
]
INPUTS = {layer.name: random_input(RNG, tokens, layer) for layer, tokens in LAYERS}
OPCODES = [Opcode.LOAD, Opcode.MATMUL, Opcode.STORE] * 3
NOTHING = dict.fromkeys(PROFILE_CLASSES, 0)
NAMES = [name for name in ("up", "down", "last") for _ in range(3)]


def make(config: CoreConfig = TINY) -> tuple[Device, FakeBus, Any]:
    bus = FakeBus(config)
    return Device(bus, config), bus, compile_layers(config, LAYERS)


def run(config: CoreConfig = TINY) -> Profile:
    device, _, program = make(config)
    profile = device.run(program, INPUTS, profile=True).profile
    assert profile is not None
    return profile


def test_every_descriptor_has_its_times_and_classes() -> None:
    profile = run()
    assert [row.opcode for row in profile.rows] == OPCODES
    assert [row.job for row in profile.rows] == NAMES
    assert [row.index for row in profile.rows] == list(range(9))
    assert [row.begin for row in profile.rows] == list(range(0, 90, 10))
    assert [row.end for row in profile.rows] == list(range(15, 105, 10))
    assert [row.compute_end for row in profile.rows] == [None, 20, None, None, 50, None, None, 80, None]
    first = profile.rows[1]
    assert (first.decoded, first.compute_begin, first.drain_begin) == (15, 15, 20)
    assert [row.cost for row in profile.rows] == [0, 20, 0, 0, 30, 0, 0, 30, 0]
    assert profile.rows[4].classes == NOTHING | {"ARRAY_CYCLES": 21, "LOAD_CYCLES": 9}
    assert profile.tail == NOTHING | {"ARRAY_CYCLES": 14, "LOAD_CYCLES": 6}
    assert (profile.total, profile.left_out) == (100, 0)
    assert sum(row.cost for row in profile.rows) + sum(profile.tail.values()) == profile.total


def test_a_run_without_profile_reads_none() -> None:
    device, bus, program = make()
    assert device.run(program, INPUTS).profile is None
    assert bus.registers["PROFILE_ADDR"] == 0


def test_the_profile_stays_until_the_next_start() -> None:
    device, _, program = make()
    device.load(program, INPUTS)
    device.start(program)
    with pytest.raises(DeviceBusy):
        device.profile(program)
    device.wait(program, timeout_s=1)
    profile = device.profile(program)
    device.recover()
    assert device.profile(program) == profile == run()


def test_descriptors_beyond_the_depth_are_in_the_tail() -> None:
    profile = run(TINY.replace(profile_depth=4))
    whole = run()
    assert profile.rows == whole.rows[:4]
    assert profile.left_out == 5
    rest = [row.classes for row in whole.rows[4:] if row.is_matrix]
    assert profile.tail == {name: whole.tail[name] + sum(c[name] for c in rest) for name in PROFILE_CLASSES}
    assert "5 descriptors are beyond the core's profile_depth" in text_of(profile)


def test_a_core_without_profile() -> None:
    device, bus, program = make(TINY.replace(profile_depth=0))
    message = "the core 'tiny' records no profile: it was generated with profile_depth 0"
    with pytest.raises(DriverError, match=message):
        device.run(program, INPUTS, profile=True)
    assert not bus.memory.any(), "it is said before anything is done"
    device.run(program, INPUTS)
    with pytest.raises(DriverError, match=message):
        device.profile(program)


def test_a_job_that_did_not_complete() -> None:
    device, bus, program = make()
    bus.faults = Faults(hangs=True)
    device.load(program, INPUTS)
    device.start(program)
    device.recover()
    with pytest.raises(DriverError, match="completed 0 descriptors, the program has 9: no profile"):
        device.profile(program)


@pytest.mark.parametrize(
    ("index", "word", "value", "message"),
    [
        (1, "COMPUTE_END", 21, r"descriptor 4 \(MATMUL\): WAIT_DESCRIPTOR_CYCLES has run backwards by 1"),
        (4, "ARRAY_CYCLES", 36, r"descriptor 4 \(MATMUL\): WAIT_DESCRIPTOR_CYCLES has run backwards by 1"),
        (4, "ARRAY_CYCLES", 1, r"descriptor 4 \(MATMUL\): ARRAY_CYCLES has run backwards by 13"),
        (7, "LOAD_CYCLES", 40, r"descriptor 7 \(MATMUL\): WAIT_DESCRIPTOR_CYCLES has run backwards by 16"),
        (0, "END", 101, r"descriptor 0 \(LOAD\): it runs from 0 to 101, the job has 100 cycles"),
        (2, "BEGIN", 60, r"descriptor 2 \(STORE\): it runs from 60 to 35"),
    ],
)
def test_a_profile_that_does_not_add_up(index: int, word: str, value: int, message: str) -> None:
    device, bus, program = make()
    bus.faults.profile = {profile_addr(index, word): value}
    with pytest.raises(CounterMismatch, match=message):
        device.run(program, INPUTS, profile=True)
    assert device.read("STATUS") == 0
    bus.faults = Faults()
    assert device.run(program, INPUTS, profile=True).profile == run()


def test_a_tail_that_does_not_add_up() -> None:
    profile = run()
    with pytest.raises(CounterMismatch, match="TOTAL_CYCLES is 101, the profile adds up to 100"):
        check_profile(replace(profile, total=101))
    with pytest.raises(CounterMismatch, match="after the last descriptor: ARRAY_CYCLES has run backwards by 1"):
        check_profile(replace(profile, tail={"ARRAY_CYCLES": -1}))


def test_stopped_counters_are_not_compared() -> None:
    device, bus, program = make()
    bus.faults.lost_cycles = (1 << 32) - 101
    profile = device.run(program, INPUTS, profile=True).profile
    assert profile is not None
    assert profile.total == (1 << 32) - 1


def test_plain_data() -> None:
    profile = run()
    assert Profile.from_dict(json.loads(json.dumps(profile.to_dict()))) == profile


def text_of(profile: Profile) -> str:
    console = Console(width=150, file=io.StringIO(), record=True)
    console.print(profile_table(profile))
    return console.export_text()


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("│")[1:-1]]


def test_table() -> None:
    lines = text_of(run()).splitlines()
    (heads,) = [line for line in lines if "opcode" in line]
    assert [cell.strip() for cell in heads.strip("┃").split("┃")] == [
        *("", "layer", "opcode", "took", "cycles", "array %", "load", "share %")
    ]
    rows = [cells(line) for line in lines if line.startswith("│")]
    assert len(rows) == 9 + 2
    assert [row[1:3] for row in rows[:9]] == [[n, o.name] for n, o in zip(NAMES, OPCODES, strict=True)]
    assert rows[0][3:] == ["15", "", "", "", ""]
    assert rows[4][3:] == ["15", "30", "70.0", "9", "30.0"]
    assert rows[9] == ["", "tail", "", "", "20", "70.0", "6", "20.0"]
    assert rows[10] == ["", "total", "", "100", "100", "70.0", "30", "100.0"]
    assert sum(int(row[4]) for row in rows[:10] if row[4]) == 100


def test_table_has_the_classes_that_occurred() -> None:
    profile = random_profile(0)
    rows = [cells(line) for line in text_of(profile).splitlines() if line.startswith("│")]
    for found, row in zip(rows, profile.rows, strict=False):
        if row.is_matrix:
            percent = f"{100 * row.classes['ARRAY_CYCLES'] / row.cost:.1f}"
            assert found[4:8] == [str(row.cost), percent, str(row.classes["WAIT_WEIGHT_CYCLES"]), ""]
    output = str(profile.tail["WAIT_OUTPUT_CYCLES"])
    assert rows[-2][4:8] == [output, "0.0", "", output]


def random_profile(seed: int) -> Profile:
    """Matrix descriptors whose sums overlap, and loads and stores beside them."""
    rng = np.random.default_rng(seed)
    rows, passed, at = [], 0, {"load": 0, "store": 0, "decode": 0, "drain": 0}
    for index in range(40):
        opcode = Opcode(int(rng.integers(1, 5)))
        if opcode in (Opcode.LOAD, Opcode.STORE):
            lane = opcode.name.lower()
            begin = at[lane] + int(rng.integers(0, 20))
            at[lane] = end = begin + int(rng.integers(1, 50))
            rows.append(ProfileRow(index=index, opcode=opcode, job="a", begin=begin, end=end, classes={}))
            continue
        wait, array, extra = (int(n) for n in rng.integers(1, 60, 3))
        begin = at["decode"]
        at["decode"] = decoded = begin + int(rng.integers(1, 30))
        end = passed + wait + array + extra
        rows.append(
            ProfileRow(
                index=index,
                opcode=opcode,
                job=None,
                begin=begin,
                decoded=decoded,
                compute_begin=passed + wait,
                compute_end=passed + wait + array,
                drain_begin=passed + wait + int(rng.integers(0, array + extra)),
                end=max(end, at["drain"]),
                classes=NOTHING | {"ARRAY_CYCLES": array, "WAIT_WEIGHT_CYCLES": wait},
            )
        )
        passed, at["drain"] = passed + wait + array, end
    total = max(passed, *(row.end for row in rows))
    return Profile(rows=tuple(rows), tail=NOTHING | {"WAIT_OUTPUT_CYCLES": total - passed}, total=total)


@pytest.mark.parametrize("clock_mhz", [100, 333.3])
@pytest.mark.parametrize("seed", range(5))
def test_trace(seed: int, clock_mhz: float) -> None:
    profile = random_profile(seed)
    trace = json.loads(json.dumps(trace_json(profile, clock_mhz)))
    assert set(trace) == {"traceEvents", "displayTimeUnit", "otherData"}
    events = trace["traceEvents"]
    assert {e["ph"] for e in events} == {"M", "X", "C"}
    names = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert tuple(names[tid] for tid in sorted(names)) == LANES
    spans = [e for e in events if e["ph"] == "X"]
    matrix = sum(row.is_matrix for row in profile.rows)
    assert len(spans) == 3 * matrix + len(profile.rows) - matrix
    for lane in LANES:
        end = 0.0
        for e in (e for e in spans if names[e["tid"]] == lane):
            assert e["cat"] == lane
            assert e["ts"] >= end - 1e-6
            assert e["dur"] >= 0
            end = e["ts"] + e["dur"]
            assert end <= profile.total / clock_mhz + 1e-3
    for e in spans:
        row = profile.rows[e["args"]["descriptor"]]
        expected = {
            "decode": (row.begin, row.decoded),
            "compute": (row.compute_begin, row.compute_end),
            "drain": (row.drain_begin, row.end),
        }.get(e["cat"], (row.begin, row.end))
        assert (e["args"]["begin"], e["args"]["end"]) == expected
        assert e["args"]["cycles"] == expected[1] - expected[0]
        if e["cat"] != "drain":
            assert e["ts"] == pytest.approx(expected[0] / clock_mhz, abs=1e-3)
            assert e["dur"] == pytest.approx((expected[1] - expected[0]) / clock_mhz, abs=1.1e-3)
        assert e["name"] == f"{row.opcode.name} {row.job or row.index}"
    counters = [e for e in events if e["ph"] == "C"]
    assert [e["ts"] for e in counters] == sorted(e["ts"] for e in counters)
    assert all(0 <= e["args"]["percent"] <= 100 for e in counters)


def test_trace_of_a_run() -> None:
    trace = trace_json(run(), 100)
    spans = {(e["cat"], e["args"]["descriptor"]): (e["ts"], e["dur"]) for e in trace["traceEvents"] if e["ph"] == "X"}
    assert spans["load", 0] == (0, 0.15)
    assert spans["decode", 1] == (0.1, 0.05)
    assert spans["compute", 4] == (0.45, 0.05)
    assert spans["store", 5] == (0.5, 0.15)
    assert [e["args"]["percent"] for e in trace["traceEvents"] if e["ph"] == "C"] == [70.0] * 4 + [0.0]
    assert trace["otherData"] == {"clock_mhz": 100, "total_cycles": 100, "descriptors_left_out": 0}


@pytest.mark.parametrize("clock_mhz", [0, -1, float("nan")])
def test_a_clock_that_does_not_run(clock_mhz: float) -> None:
    with pytest.raises(ValueError, match="clock_mhz must be positive, not"):
        trace_json(run(), clock_mhz)


def test_a_profile_whose_times_and_classes_disagree() -> None:
    """As one read from a file may be; of a core, the last class is what the others leave."""
    profile = run()
    rows = [replace(row, compute_end=21) if row.index == 1 else row for row in profile.rows]
    with pytest.raises(CounterMismatch, match=r"descriptor 1 \(MATMUL\): COMPUTE_END is 21, the classes add up to 20"):
        check_profile(replace(profile, rows=tuple(rows)))
