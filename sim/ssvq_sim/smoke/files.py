"""The files of the small simulation."""

from __future__ import annotations

from importlib.resources import files

import numpy as np

from ssvq.program import Memory
from ssvq_gen.config import CoreConfig
from ssvq_gen.packaging.simulation import (
    EXPECTED_FILE,
    MEMORY_FILE,
    PARAMETERS_FILE,
    TEST_BENCH,
    TEST_BENCH_FILE,
)
from ssvq_gen.registers import AXIL_ADDR_WIDTH, CORE_ID, CORE_VERSION, REGISTER_BY_NAME

from .job import SmokeJob, smoke_job

_BASE = 0x10000
"""Address of the DRAM window, not zero so that a core which forgets it does not pass."""
_TIMEOUT_CYCLES = 20_000
"""A hundred times what the job takes on the smallest core, whose simulation ends early either way."""
_CONTROL_REGISTERS = (
    "ID",
    "VERSION",
    "DIGEST_LO",
    "DIGEST_HI",
    "CONTROL",
    "STATUS",
    "IRQ_ENABLE",
    "IRQ_STATUS",
    "MEMORY_BASE_LO",
    "MEMORY_BASE_HI",
    "MEMORY_SIZE",
    "DESCRIPTOR_OFFSET",
    "DESCRIPTOR_COUNT",
    "WATCHDOG_CYCLES",
    "ERROR_CODE",
    "DESCRIPTORS_DONE",
)


def smoke_files(config: CoreConfig) -> dict[str, str]:
    """Text of each file by its name below the core's folder."""
    job = smoke_job(config)
    source = files(__package__).joinpath(f"{TEST_BENCH}.v").read_text(encoding="utf-8")
    return {
        TEST_BENCH_FILE: source,
        PARAMETERS_FILE: _parameters(config, job),
        MEMORY_FILE: _hexadecimal(job.memory),
        EXPECTED_FILE: _hexadecimal(job.expected.reshape(-1).view(np.uint8)),
    }


def _parameters(config: CoreConfig, job: SmokeJob) -> str:
    numbers = {
        "ADDR_WIDTH": config.axi_addr_width,
        "DATA_WIDTH": config.axi_data_width,
        "AXIL_ADDR_WIDTH": AXIL_ADDR_WIDTH,
        "MEMORY_BYTES": job.program.memory_bytes,
        "OUTPUT_OFFSET": job.output_offset,
        "OUTPUT_BYTES": job.expected.size,
        "TIMEOUT_CYCLES": _TIMEOUT_CYCLES,
    }
    words = {
        "MEMORY_BASE": _BASE,
        "EXPECTED_ID": CORE_ID,
        "EXPECTED_VERSION": CORE_VERSION,
        "EXPECTED_DIGEST_LO": config.digest & 0xFFFF_FFFF,
        "EXPECTED_DIGEST_HI": config.digest >> 32,
        "FIRST_DESCRIPTOR": job.program.descriptor_offset,
        "DESCRIPTORS": job.program.descriptor_count,
        "START": REGISTER_BY_NAME["CONTROL"].bit("START"),
        "CLEAR": REGISTER_BY_NAME["CONTROL"].bit("CLEAR"),
        "DONE": REGISTER_BY_NAME["STATUS"].bit("DONE"),
        "EVENTS": REGISTER_BY_NAME["IRQ_STATUS"].mask,
        "DONE_EVENT": REGISTER_BY_NAME["IRQ_STATUS"].bit("DONE"),
    }
    lines = [
        f"// Generated for configuration {config.name}: change the generator, not this file.",
        *(f"localparam integer {name} = {value};" for name, value in numbers.items()),
        *(f"localparam [31:0] {name} = 32'h{value:08x};" for name, value in words.items()),
        *(
            f"localparam [AXIL_ADDR_WIDTH-1:0] REG_{name} = {AXIL_ADDR_WIDTH}'h{REGISTER_BY_NAME[name].offset:03x};"
            for name in _CONTROL_REGISTERS
        ),
    ]
    return "\n".join(lines) + "\n"


def _hexadecimal(data: Memory) -> str:
    """For $readmemh into bytes, 16 in a line."""
    lines = (data[start : start + 16] for start in range(0, data.size, 16))
    return "".join(" ".join(f"{byte:02x}" for byte in line) + "\n" for line in lines)
