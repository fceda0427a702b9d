"""The generator with the real core: same bytes in every process, the ports that vendor tools recognise, in time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ssvq_gen.config import PRESETS
from ssvq_gen.generate import core_files
from ssvq_gen.registers import AXIL_ADDR_WIDTH

ROOT = Path(__file__).parents[2]
READ_ADDRESS = {"id": 1, "len": 8, "size": 3, "burst": 2, "lock": 1, "cache": 4, "prot": 3, "qos": 4}
BASE_SECONDS = 60


def cpu_seconds() -> float:
    """Processor time of this process and its children: what a busy machine does not stretch."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def axi_lite_ports() -> dict[str, tuple[str, int]]:
    to_core = {"valid": 1, "prot": 3, "addr": AXIL_ADDR_WIDTH}
    ports = {f"s_axil_a{c}{name}": ("input", width) for c in "rw" for name, width in to_core.items()}
    ports |= {f"s_axil_{name}": ("input", width) for name, width in {"wdata": 32, "wstrb": 4, "wvalid": 1}.items()}
    ports |= {f"s_axil_{name}ready": ("output", 1) for name in ("aw", "ar", "w")}
    ports |= {f"s_axil_{name}ready": ("input", 1) for name in ("b", "r")}
    ports |= {f"s_axil_{c}{name}": ("output", width) for c in "br" for name, width in {"valid": 1, "resp": 2}.items()}
    return ports | {"s_axil_rdata": ("output", 32)}


def axi4_ports(data_width: int, addr_width: int) -> dict[str, tuple[str, int]]:
    from_core = {"valid": 1, "addr": addr_width, **READ_ADDRESS}
    ports = {f"m_axi_a{c}{name}": ("output", width) for c in "rw" for name, width in from_core.items()}
    write = {"wdata": data_width, "wstrb": data_width // 8, "wlast": 1, "wvalid": 1}
    ports |= {f"m_axi_{name}": ("output", width) for name, width in write.items()}
    ports |= {f"m_axi_{name}ready": ("input", 1) for name in ("aw", "ar", "w")}
    ports |= {f"m_axi_{name}ready": ("output", 1) for name in ("b", "r")}
    answer = {"valid": 1, "resp": 2, "id": 1}
    ports |= {f"m_axi_{c}{name}": ("input", width) for c in "br" for name, width in answer.items()}
    return ports | {"m_axi_rdata": ("input", data_width), "m_axi_rlast": ("input", 1)}


def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    sources = os.pathsep.join(str(ROOT / root) for root in ("gen", "rtl"))
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": sources}
        command = [sys.executable, "-m", "ssvq_gen", "tiny", "--output", str(tmp_path / seed)]
        subprocess.run(command, env=environment, check=True, capture_output=True)
    written = [
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (tmp_path / "1", tmp_path / "2")
    ]
    assert written[0] == written[1]
    assert Path("tiny/constraints/ecp5.lpf") in written[0]


@pytest.mark.slow
def test_base_in_time_and_with_every_axi_port() -> None:
    base = PRESETS["base"]
    begin = cpu_seconds()
    files = core_files(base)
    assert cpu_seconds() - begin < BASE_SECONDS
    ports = {p["name"]: (p["direction"], p["width"]) for p in json.loads(files["manifest.json"])["ports"]}
    expected = axi_lite_ports() | axi4_ports(base.axi_data_width, base.axi_addr_width)
    assert ports == expected | {"aclk": ("input", 1), "aresetn": ("input", 1), "irq": ("output", 1)}
