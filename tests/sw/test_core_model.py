"""The functional model refuses what the core refuses."""

from __future__ import annotations

import numpy as np
import pytest
from core_model import CoreFault, CoreModel

from ssvq_gen.config import PRESETS, CoreConfig
from ssvq_gen.format import ErrorCode, Opcode, Residency, pack_descriptor

CONFIG = PRESETS["tiny"]
PRODUCT = {
    "opcode": Opcode.PRODUCT,
    "source": 0,
    "operand": 20,
    "destination": 40,
    "tokens": 3,
    "k_tiles": 2,
    "n_tiles": 1,
    "input_stride": 2,
    "operand_stride": 2,
    "output_stride": 1,
    "last_rows": 8,
    "last_columns": 5,
    "transposed": 1,
    "clamp_min": -128,
    "clamp_max": 127,
}
MATMUL = {"opcode": Opcode.MATMUL, "dram_bytes": 64, "tokens": 1, "k_tiles": 1, "n_tiles": 1, "last_rows": 8}


def run(values: dict[str, int], config: CoreConfig = CONFIG) -> None:
    memory = np.zeros(4096, dtype=np.uint8)
    memory[:64] = np.frombuffer(pack_descriptor(values), dtype=np.uint8)
    CoreModel(config).run(memory, 0, 1)


def test_product_that_runs() -> None:
    run(PRODUCT)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (PRODUCT | {"dram_bytes": 64}, ErrorCode.BAD_DESCRIPTOR),
        (PRODUCT | {"tokens": 65}, ErrorCode.BAD_DESCRIPTOR),
        (PRODUCT | {"k_tiles": 0}, ErrorCode.BAD_DESCRIPTOR),
        (PRODUCT | {"last_rows": 9}, ErrorCode.BAD_DESCRIPTOR),
        (PRODUCT | {"last_columns": 0}, ErrorCode.BAD_DESCRIPTOR),
        (PRODUCT | {"last_columns": 9}, ErrorCode.BAD_DESCRIPTOR),
        (PRODUCT | {"clamp_min": 1, "clamp_max": 0}, ErrorCode.BAD_DESCRIPTOR),
        (PRODUCT | {"source": 2045}, ErrorCode.ACTIVATION_RANGE),
        (PRODUCT | {"operand": 2045}, ErrorCode.ACTIVATION_RANGE),
        (PRODUCT | {"batch_last": 1, "output_batch_stride": 2040}, ErrorCode.ACTIVATION_RANGE),
        (MATMUL | {"batch_last": 1}, ErrorCode.BAD_DESCRIPTOR),
        (MATMUL | {"dram_bytes": 0}, ErrorCode.BAD_DESCRIPTOR),
        (MATMUL | {"residency": 3}, ErrorCode.BAD_DESCRIPTOR),
        (MATMUL | {"residency": Residency.KEEP, "cache_offset": 32}, ErrorCode.BAD_DESCRIPTOR),
        (MATMUL | {"residency": Residency.KEEP, "cache_offset": 4096}, ErrorCode.BAD_DESCRIPTOR),
        (MATMUL | {"dram_offset": 4096}, ErrorCode.DRAM_RANGE),
    ],
)
def test_descriptor_that_fails(values: dict[str, int], code: ErrorCode) -> None:
    with pytest.raises(CoreFault) as caught:
        run(values)
    assert caught.value.code is code


def test_core_without_products() -> None:
    with pytest.raises(CoreFault) as caught:
        run(PRODUCT, CONFIG.replace(attention=False))
    assert caught.value.code is ErrorCode.BAD_DESCRIPTOR
