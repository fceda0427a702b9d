"""The small simulation's job and files: the same every time, for every core, and what the core model computes."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ssvq_gen.config import PRESETS, CoreConfig, WeightFormat
from ssvq_gen.format import Opcode
from ssvq_sim.smoke.__main__ import main
from ssvq_sim.smoke.files import smoke_files
from ssvq_sim.smoke.job import smoke_job
from ssvq_sim.systems.core_model import CoreModel


def configs() -> Iterator[CoreConfig]:
    yield from PRESETS.values()
    tiny = PRESETS["tiny"]
    yield from (tiny.replace(name=f.name.lower(), formats=(f,)) for f in WeightFormat)
    yield tiny.replace(name="wide_rows", rows=32, accumulator_depth=4, max_codebook_size=2)
    yield tiny.replace(name="wide_bus", cols=32, axi_data_width=512)


@pytest.mark.parametrize("config", list(configs()), ids=lambda config: config.name)
def test_job(config: CoreConfig) -> None:
    job = smoke_job(config)
    assert [d["opcode"] for d in job.program.descriptors()] == [Opcode.LOAD, Opcode.MATMUL, Opcode.STORE]
    matmul = job.program.descriptor(1)
    assert matmul["k_tiles"] == 2
    assert 0 < matmul["last_rows"] < config.rows
    assert WeightFormat(matmul["weight_format"]) in config.formats
    assert len(np.unique(job.expected)) > job.expected.size // 4, "a stuck output must not pass"

    size = job.expected.size
    written = job.memory.copy()
    CoreModel(config).run(written, job.program.descriptor_offset, job.program.descriptor_count)
    assert (written[job.output_offset : job.output_offset + size].view(np.int8) == job.expected.reshape(-1)).all()
    before = job.memory[job.output_offset : job.output_offset + size].view(np.int8)
    assert (before != job.expected.reshape(-1)).any(), "the output is not there before the job"


def test_files_are_complete_and_the_same_every_time() -> None:
    first = smoke_files(PRESETS["tiny"])
    assert first == smoke_files(PRESETS["tiny"])
    assert set(first) == {"sim/ssvq_core_tb.v", "sim/ssvq_core_tb.vh", "sim/memory.hex", "sim/expected.hex"}
    job = smoke_job(PRESETS["tiny"])
    assert bytes.fromhex(first["sim/memory.hex"]) == job.memory.tobytes()
    assert bytes.fromhex(first["sim/expected.hex"]) == job.expected.tobytes()
    parameters = first["sim/ssvq_core_tb.vh"]
    assert f"OUTPUT_OFFSET = {job.output_offset};" in parameters
    assert f"EXPECTED_DIGEST_LO = 32'h{PRESETS['tiny'].digest & 0xFFFF_FFFF:08x};" in parameters


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tiny", "--output", str(tmp_path)]) == 0
    assert (tmp_path / "tiny" / "sim" / "memory.hex").read_text() == smoke_files(PRESETS["tiny"])["sim/memory.hex"]
    assert main(["nano", "--output", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: 'nano' is neither a preset")
    (tmp_path / "file").write_text("")
    assert main(["tiny", "--output", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.startswith("error: [Errno ")
