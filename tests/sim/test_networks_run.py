"""`make networks`: what counts as a failure, how many times faster, and the tables."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.table import Table

from ssvq_sim.networks.run import TARGET_SPEED_UP, NetworkRun, Times, missed, speed_up
from ssvq_sim.networks.tables import cycle_table, time_table, value_table

INT8 = NetworkRun(
    network="deit_tiny",
    config="base",
    format="int8",
    codebook_size=None,
    vector_dim=None,
    bytes_per_cycle=1,
    backend="sim",
    samples=1,
    cycles=7000,
    roofline_cycles=5600.0,
    cycles_of={"array": 1400, "wait_weight": 4900, "vector": 350, "load": 300, "store": 50},
    host_operators=(),
    bit_exact=True,
    metric="cosine to float",
    value=0.9,
    float_value=1.0,
)
SSVQ = replace(INT8, format="ssvq", codebook_size=16, vector_dim=8, cycles=2000)
REFERENCE = replace(
    INT8, backend="reference", cycles=None, cycles_of={}, samples=20, value=0.95, host_operators=("embeddings",)
)


def test_speed_up_is_over_int8_at_the_same_rate() -> None:
    assert speed_up([INT8, SSVQ], SSVQ) == 3.5
    assert speed_up([INT8, SSVQ], replace(SSVQ, bytes_per_cycle=2)) is None
    assert speed_up([INT8, SSVQ], replace(SSVQ, config="edge")) is None
    assert speed_up([INT8, SSVQ], replace(SSVQ, samples=2)) is None
    assert speed_up([REFERENCE, SSVQ], SSVQ) is None
    assert speed_up([INT8, REFERENCE], REFERENCE) is None


def test_what_is_missed() -> None:
    assert TARGET_SPEED_UP == 3.5
    assert missed([INT8, SSVQ]) == []
    assert missed([INT8, replace(SSVQ, cycles=2001)]) == ["deit_tiny is 3.498 times faster than with int8, below 3.5"]
    assert missed([SSVQ]) == []


def test_the_target_is_of_one_network_on_one_core_at_one_rate_with_one_format() -> None:
    slow = replace(SSVQ, cycles=6000)
    assert missed([INT8, slow]) != []
    elsewhere: list[dict[str, Any]] = [{"bytes_per_cycle": 8}, {"config": "edge"}, {"network": "minilm"}]
    for change in elsewhere:
        assert missed([replace(run, **change) for run in (INT8, slow)]) == []
    assert missed([INT8, replace(slow, codebook_size=256)]) == []


def test_outputs_that_differ_are_missed() -> None:
    wrong = "deit_tiny in ssvq k=16 d=8 on base is not bit-exact"
    assert missed([INT8, replace(SSVQ, bit_exact=False)]) == [wrong]
    # what was not simulated is no failure, and what was is reported once
    assert missed([replace(REFERENCE, bit_exact=None)]) == []
    assert missed([replace(REFERENCE, bit_exact=False)]) == []


def text_of(table: Table) -> list[str]:
    text = io.StringIO()
    Console(file=text, width=160).print(table)
    return text.getvalue().splitlines()


def test_the_table_of_cycles() -> None:
    rows = text_of(cycle_table([INT8, replace(SSVQ, bit_exact=False), REFERENCE]))
    (own,) = (row for row in rows if "int8" in row and "base" in row)
    for part in ("7,000", "1.25x", "20.0%", "70.0%", "5.0%", "4.3%", "0.7%", "yes"):
        assert part in own
    assert any("ssvq k=16 d=8" in row and "3.50x" in row and "NO" in row for row in rows)


def test_the_tables_of_values_and_times() -> None:
    rows = text_of(value_table([INT8, REFERENCE]))
    assert any("0.9500" in row and "1.0000" in row and "20" in row and "embeddings" in row for row in rows)
    assert not any("0.9000" in row for row in rows)
    times = Times(
        network="deit_tiny", config="base", weights="int8", compress=1.0, compile=2.25, reference=3.0, simulation=99.9
    )
    assert any("2.2" in row and "99.9" in row for row in text_of(time_table([times])))


def test_weights_in_words() -> None:
    assert INT8.weights == "int8"
    assert replace(SSVQ, weighted=True).weights == "ssvq k=16 d=8, weighted"
