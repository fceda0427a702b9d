"""Steps whose tensors lie side by side in the activation memory."""

import numpy as np
from matrix_programs import Step, matmul_step, product_step

from ssvq.integer_layer import IntegerLayer
from ssvq_gen.config import CoreConfig, WeightFormat
from ssvq_sim.systems.layers import random_layer


def side_by_side(config: CoreConfig, *shapes: tuple[int, int], word: int = 0) -> list[tuple[int, int]]:
    """Word and stride of tensors of so many tokens and channels, one after the other."""
    places = []
    for tokens, channels in shapes:
        stride = -(-channels // config.word_bytes)
        places.append((word, stride))
        word += tokens * stride
    return places


def matmul_between(
    layer: IntegerLayer, config: CoreConfig, tokens: int, source: tuple[int, int], target: tuple[int, int]
) -> Step:
    return matmul_step(
        layer,
        config,
        tokens=tokens,
        source=source[0],
        input_stride=source[1],
        destination=target[0],
        output_stride=target[1],
    )


def product_of(
    config: CoreConfig, *, transposed: int, tokens: int, k: int, n: int, batch: int = 1, word: int = 0, **fields: int
) -> Step:
    """Tensors of a batch side by side from `word` on: inputs, operands, outputs."""
    shapes = [(tokens, k), (n, k) if transposed else (k, n), (tokens, n)]
    source, operand, target = side_by_side(config, *((batch * rows, channels) for rows, channels in shapes), word=word)
    places = {
        "source": source[0],
        "input_stride": source[1],
        "input_batch_stride": source[1] * shapes[0][0],
        "operand": operand[0],
        "operand_stride": operand[1],
        "operand_batch_stride": operand[1] * shapes[1][0],
        "destination": target[0],
        "output_stride": target[1],
        "output_batch_stride": target[1] * shapes[2][0],
    }
    places |= {"transposed": transposed, "tokens": tokens, "batch_last": batch - 1} | fields
    return product_step(config, in_channels=k, out_channels=n, **places)


def small_matmul(config: CoreConfig, weight_format: WeightFormat, tokens: int = 2, **fields: int) -> Step:
    """Two tiles along each side."""
    layer = random_layer(
        np.random.default_rng(3),
        weight_format=weight_format,
        out_channels=2 * config.cols,
        in_channels=2 * config.rows,
        codebook_size=4,
        vector_dim=4,
    )
    source, target = side_by_side(config, (tokens, 2 * config.rows), (tokens, 2 * config.cols))
    step = matmul_between(layer, config, tokens, source, target)
    return Step(step.fields | fields, layer)
