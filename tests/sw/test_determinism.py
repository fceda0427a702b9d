"""The same seed gives the same bytes: in another process, with other hashes of texts, with one thread and with two."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache

import pytest

SCRIPT = """
import hashlib, sys, tempfile
from pathlib import Path
import numpy as np
import torch
from ssvq.compile import compile_layers
from ssvq.container import save
from ssvq.integer_layer import IntegerLayer
from ssvq.program_file import program_to_bytes
from ssvq.quantize import QuantizeConfig, WeightFormat, encode
from ssvq.reference import ActivationScale
from ssvq_gen.config import PRESETS

assert torch.get_num_threads() == int(sys.argv[1])
seed = int(sys.argv[2])
generator = torch.Generator().manual_seed(5)
scale = ActivationScale(scale=0.1, zero_point=3)
layers = []
for format, more in (
    (WeightFormat.SSVQ, {"codebook_size": 16, "vector_dim": 8}),
    (WeightFormat.VQ, {"codebook_size": 64, "vector_dim": 4}),
    (WeightFormat.MVQ, {"codebook_size": 16, "vector_dim": 8, "keep": 4, "group": 8}),
    (WeightFormat.INT8, {}),
):
    weight = torch.randn(192, 128, generator=generator)
    config = QuantizeConfig(format=format, seed=seed, iterations=8, **more)
    layers.append(encode(weight, config, bias=torch.randn(192, generator=generator), name=format.value))
path = Path(tempfile.mkdtemp()) / "layers.ssvq"
save(path, layers)
runnable = [layer for layer in layers if layer.format is not WeightFormat.MVQ]
integer = [(IntegerLayer.from_compressed(layer, input_scale=scale, output_scale=scale), 20) for layer in runnable]
program = program_to_bytes(compile_layers(PRESETS["tiny"], integer))
print(hashlib.sha256(path.read_bytes()).hexdigest(), hashlib.sha256(program).hexdigest())
"""


@cache
def digests(threads: int, hash_seed: int = 0, seed: int = 0) -> tuple[str, str]:
    """Of a container and of a program that a process of its own makes."""
    sources = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)  # noqa: PTH100  as Python resolves them
    environment = os.environ | {
        "OMP_NUM_THREADS": str(threads),
        "PYTHONHASHSEED": str(hash_seed),
        "PYTHONPATH": sources,
    }
    command = [sys.executable, "-c", SCRIPT, str(threads), str(seed)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    container, program = done.stdout.split()
    return container, program


@pytest.mark.parametrize(("threads", "hash_seed"), [(1, 1), (2, 2)])
def test_the_same_bytes(threads: int, hash_seed: int) -> None:
    assert digests(threads, hash_seed) == digests(1)


def test_another_seed_gives_others() -> None:
    """So that equal bytes say something."""
    container, program = digests(1, seed=1)
    assert container != digests(1)[0]
    assert program != digests(1)[1]
