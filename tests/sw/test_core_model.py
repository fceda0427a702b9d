"""The functional model refuses what the core refuses."""

from __future__ import annotations

import numpy as np
import pytest

from ssvq_gen.config import PRESETS, CoreConfig, WeightFormat
from ssvq_gen.format import ErrorCode, Opcode, Residency, pack_descriptor
from ssvq_gen.stream_format import StreamFormat
from ssvq_sim.systems.core_model import CoreFault, CoreModel

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

CONV_BYTES = StreamFormat(config=CONFIG, weight_format=WeightFormat.INT8).total_bytes(4, 1)
# A kernel of 2 x 2 positions on an image of 3 x 3 pixels at word 40, of which the first is at (1, 1).
CONV = MATMUL | {
    "opcode": Opcode.CONV,
    "dram_bytes": CONV_BYTES,
    "index_width": 8,
    "source": 44,
    "destination": 100,
    "tokens": 4,
    "k_tiles": 4,
    "input_stride": 1,
    "row_stride": 3,
    "output_stride": 1,
    "input_height": 3,
    "input_width": 3,
    "output_width": 2,
    "kernel_width": 2,
    "channel_tiles": 1,
    "origin_y": 1,
    "origin_x": 1,
    **dict.fromkeys(("stride_y", "stride_x", "dilation_y", "dilation_x"), 1),
}


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
        *(
            (CONV | {name: 0}, ErrorCode.BAD_DESCRIPTOR)
            for name in ("input_height", "input_width", "output_width", "kernel_width", "channel_tiles")
        ),
        *(
            (CONV | {name: 0}, ErrorCode.BAD_DESCRIPTOR)
            for name in ("stride_y", "stride_x", "dilation_y", "dilation_x")
        ),
        (CONV | {"source": 2044}, ErrorCode.ACTIVATION_RANGE),
        (CONV | {"source": 0, "origin_y": 0, "origin_x": 0, "row_stride": 2047}, ErrorCode.ACTIVATION_RANGE),
        (CONV | {"source": (1 << 32) - 1}, ErrorCode.ACTIVATION_RANGE),
    ],
)
def test_descriptor_that_fails(values: dict[str, int], code: ErrorCode) -> None:
    with pytest.raises(CoreFault) as caught:
        run(values)
    assert caught.value.code is code


def test_convolution_that_runs() -> None:
    run(CONV)
    run(CONV | {"source": (1 << 32) - 4, "origin_y": -1, "origin_x": -1})


def test_core_without_convolutions() -> None:
    with pytest.raises(CoreFault) as caught:
        run(CONV, CONFIG.replace(convolution=False))
    assert caught.value.code is ErrorCode.BAD_DESCRIPTOR


def test_core_without_products() -> None:
    with pytest.raises(CoreFault) as caught:
        run(PRODUCT, CONFIG.replace(attention=False))
    assert caught.value.code is ErrorCode.BAD_DESCRIPTOR
