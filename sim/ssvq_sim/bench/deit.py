"""A whole transformer as one job: its programs, and what they must give for images in a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ssvq.builder import ProgramBuilder
from ssvq.program import Program
from ssvq.reference import Int8Array
from ssvq_gen.config import CoreConfig

from .limits import Work, work_of
from .measurement import Step
from .network import Block, Network
from .placement import Placement, place

IMAGE, CLASS_TOKEN, LOGITS = "image", "class token", "logits"
"""Names of the jobs of a program that move tensors."""
LATENCY, STEADY = "latency", "steady"
"""The variants: one image from its LOAD to its logits, or each image while the next one is loaded."""
VARIANTS = (LATENCY, STEADY)


def network_works(config: CoreConfig, network: Network) -> tuple[Work, ...]:
    """The products in order, those of all heads of an attention as one."""
    choice, shape = network.choice, network.shape
    works = [work_of(config, shape.patch, choice, network.patch)]
    for block in network.blocks:
        layers = (block.qkv, None, None, block.proj, block.fc1, block.fc2)
        works += [work_of(config, s, choice, layer) for s, layer in zip(shape.block, layers, strict=True)]
    return (*works, work_of(config, shape.head, choice, network.head))


def setup_program(config: CoreConfig, network: Network, placement: Placement, *, with_image: bool) -> Program:
    """Load what stays on the core for good, and the first image when it is not the network's own program that does.

    Wrong logits are loaded too: what an earlier run left would be right without the network.
    """
    builder = ProgramBuilder(config)
    builder.load(LOGITS, placement.logits, network.head.output_scale)
    builder.load(CLASS_TOKEN, placement.class_token, network.patch.output_scale)
    if with_image:
        builder.load(IMAGE, placement.image, network.patch.input_scale)
    return builder.build()


def network_program(config: CoreConfig, network: Network, placement: Placement, variant: str) -> Program:
    """All products. In the variant `STEADY` the image is on the core, and is replaced by the next one meanwhile."""
    builder = ProgramBuilder(config)
    p = placement
    if variant == LATENCY:
        builder.load(IMAGE, p.image, network.patch.input_scale)
    builder.matmul(network.patch, source=p.image, target=p.patches)
    source = p.embedded
    for index, block in enumerate(network.blocks):
        builder.matmul(block.qkv, source=source, target=p.qkv)
        if index == 0 and variant == STEADY:
            # Behind the product that follows the patch embedding, which need not wait for this LOAD to begin.
            builder.load(IMAGE, p.image, network.patch.input_scale)
        _add_attention(builder, config, block, p)
        width = network.shape.width
        builder.matmul(block.proj, source=p.qkv.select_channels(config, 0, width), target=p.x)
        builder.matmul(block.fc1, source=p.x, target=p.hidden)
        builder.matmul(block.fc2, source=p.hidden, target=p.x)
        source = p.x
    builder.matmul(network.head, source=source.select_tokens(0, 1), target=p.logits)
    builder.store(LOGITS, p.logits, network.head.output_scale)
    return builder.build()


def _add_attention(builder: ProgramBuilder, config: CoreConfig, block: Block, p: Placement) -> None:
    """Scores of a head are computed before the values of the head before, so that no product needs the one before."""
    heads = block.scores.batch_count
    scores, values = replace(block.scores, batch_count=1), replace(block.values, batch_count=1)
    width = scores.in_channels
    parts = [p.qkv.select_channels(config, i * width, (i + 1) * width) for i in range(3 * heads)]
    query, key, value = parts[:heads], parts[heads : 2 * heads], parts[2 * heads :]
    for step in range(heads + 1):
        if step < heads:
            name, target = f"{scores.name} {step}", p.scores[step % 2]
            builder.product(scores, source=query[step], operand=key[step], target=target, name=name)
        if step > 0:
            head = step - 1
            name, source = f"{values.name} {head}", p.scores[head % 2]
            builder.product(values, source=source, operand=value[head], target=query[head], name=name)


def network_steps(
    config: CoreConfig, network: Network, images: Sequence[Int8Array], logits: Sequence[Int8Array], variant: str
) -> tuple[Step, ...]:
    """What is run for images in a row; `logits` are the reference's.

    `STEADY` takes all images, the program of each one but loading the one after it (the last: the first again).
    `LATENCY` takes the first only.
    """
    placement = place(config, network.shape)
    program = network_program(config, network, placement, variant)
    resident: dict[str, Int8Array] = {LOGITS: ~logits[0], CLASS_TOKEN: network.class_token}
    if variant == STEADY:
        resident[IMAGE] = images[0]
    steps = [
        Step(
            name="set up",
            program=setup_program(config, network, placement, with_image=variant == STEADY),
            inputs=resident,
            expected={},
        )
    ]
    count = len(images) if variant == STEADY else 1
    for index in range(count):
        loaded = images[(index + 1) % count if variant == STEADY else index]
        steps.append(
            Step(
                name=f"image {index}",
                program=program,
                inputs={IMAGE: loaded},
                expected={LOGITS: logits[index]},
                measured=True,
            )
        )
    return tuple(steps)
