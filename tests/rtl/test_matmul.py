import numpy as np
import pytest
from layers import random_input, random_layer
from matmul_bench import MatmulBench

from ssvq.reference import matmul_reference
from ssvq_gen.config import PRESETS, CoreConfig, WeightFormat

SMALL = CoreConfig(name="small", rows=8, cols=16, axi_data_width=32, activation_bytes=1 << 14, accumulator_depth=16)


def run(config, jobs, **options):
    bench = MatmulBench(config, **options)
    outputs = bench.run(jobs)
    for (layer, x), output in zip(jobs, outputs, strict=True):
        expected = matmul_reference(
            x,
            layer.weight,
            layer.bias,
            layer.mantissa,
            layer.exponent,
            zero_point=layer.output_scale.zero_point,
            clamp_min=layer.clamp_min,
            clamp_max=layer.clamp_max,
        ).output
        np.testing.assert_array_equal(output, expected)
    return bench


@pytest.mark.parametrize("idle", [0.0, 0.3])
@pytest.mark.parametrize(
    ("weight_format", "codebook_size", "vector_dim"),
    [
        (WeightFormat.INT8, 256, 1),
        (WeightFormat.SSVQ, 16, 8),
        (WeightFormat.SSVQ, 2, 2),
        (WeightFormat.SSVQ, 64, 4),
        (WeightFormat.VQ, 256, 8),
        (WeightFormat.VQ, 4, 2),
    ],
)
def test_matmul(weight_format: WeightFormat, codebook_size: int, vector_dim: int, idle: float) -> None:
    rng = np.random.default_rng(1)
    sizes = [(24, 16, 5), (9, 13, 1), (8, 40, 2)]
    jobs = []
    for out_channels, in_channels, tokens in sizes:
        layer = random_layer(
            rng,
            weight_format=weight_format,
            out_channels=out_channels,
            in_channels=in_channels,
            codebook_size=codebook_size,
            vector_dim=vector_dim,
        )
        jobs.append((layer, random_input(rng, tokens, layer)))
    run(PRESETS["tiny"], jobs, idle=idle)
