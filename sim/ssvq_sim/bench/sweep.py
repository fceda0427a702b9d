"""The points of the sweep: which products, in which formats, on which cores, at which bandwidths."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ssvq.integer_layer import IntegerLayer
from ssvq.reference import Int8Array
from ssvq_gen.config import CoreConfig

from ..real_layers import FormatChoice
from .deit import VARIANTS, network_steps, network_works
from .layers import INT8, SSVQ16, SSVQ256, gemv_layer
from .limits import work_of
from .measurement import Measurement, Step
from .network import Network, images, make_network
from .placement import check_network
from .shapes import DEIT_TINY, GEMV, Kind, ProductShape, Transformer
from .single import attention_steps, layer_steps

GEMV_JOB, LAYER_JOB, NETWORK_JOB = JOBS = ("gemv", "layer", "deit-tiny")
RATES = (1, 2, 4, 8)
"""Bytes per cycle of the sweep."""
WIDE_RATES = (4, 8)
"""Those of the second, larger core."""
GEMV_FORMATS = (SSVQ16, SSVQ256, INT8)
NETWORK_FORMATS = (SSVQ16, INT8)
STEADY_IMAGES = 2


@dataclass(frozen=True, kw_only=True)
class Bus:
    """The memory of a point."""

    bytes_per_cycle: int
    latency: int


def buses(config: CoreConfig, rates: Sequence[int], latency: int) -> list[Bus]:
    """Those of the rates that the core's bus can have."""
    return [Bus(bytes_per_cycle=rate, latency=latency) for rate in rates if rate <= config.beat_bytes]


class Networks:
    """Networks and their reference results, each made once.

    on_step : called with what is made
    """

    def __init__(self, shape: Transformer = DEIT_TINY, *, on_step: Callable[[str], None] = lambda name: None) -> None:
        self._shape = shape
        self._on_step = on_step
        self._made: dict[FormatChoice, Network] = {}
        self._logits: dict[FormatChoice, list[Int8Array]] = {}
        self.images = images(shape, STEADY_IMAGES)

    @property
    def shape(self) -> Transformer:
        """Sizes of the network."""
        return self._shape

    def network(self, choice: FormatChoice) -> Network:
        """The network in a format."""
        if choice not in self._made:
            self._made[choice] = make_network(
                self._shape, choice, on_layer=lambda name: self._on_step(f"{choice} {name}")
            )
        return self._made[choice]

    def logits(self, choice: FormatChoice) -> list[Int8Array]:
        """What the reference gives for `images`."""
        if choice not in self._logits:
            self._logits[choice] = [self.network(choice).run(image) for image in self.images]
        return self._logits[choice]


def gemv_measurements(config: CoreConfig, bus_list: Sequence[Bus]) -> Iterator[Measurement]:
    """Layers with one token, in all formats. Raises MissingPackageError, PlacementError."""
    for shape in GEMV:
        for choice in GEMV_FORMATS:
            layer, x = gemv_layer(shape, choice)
            yield from _single(config, bus_list, GEMV_JOB, shape, choice, layer, layer_steps(config, layer, x))


def layer_measurements(config: CoreConfig, bus_list: Sequence[Bus], networks: Networks) -> Iterator[Measurement]:
    """Every distinct product of the network alone; those of the attention once, as they have no weights.

    Raises PlacementError.
    """
    check_network(config, networks.shape)
    for choice in NETWORK_FORMATS:
        network = networks.network(choice)
        block, image = network.blocks[0], networks.images[0]
        x = network.embed(image)
        qkv = block.qkv.reference(x).output
        scores, values = attention_steps(config, block.scores, block.values, qkv)
        chain: list[tuple[IntegerLayer | None, Int8Array]] = [(network.patch, image), (block.qkv, x)]
        chain += [(None, x), (None, x)]
        attention = block.attend(x)
        for layer in (block.proj, block.fc1, block.fc2):
            chain.append((layer, attention))
            attention = layer.reference(attention).output
        chain.append((network.head, attention[:1]))
        for shape, (part, source) in zip(networks.shape.distinct, chain, strict=True):
            if part is not None:
                steps = layer_steps(config, part, source)
                yield from _single(config, bus_list, LAYER_JOB, shape, choice, part, steps)
            elif choice == INT8:
                steps = scores if shape.kind is Kind.SCORES else values
                yield from _single(config, bus_list, LAYER_JOB, shape, choice, None, steps)


def _single(
    config: CoreConfig,
    bus_list: Sequence[Bus],
    job: str,
    shape: ProductShape,
    choice: FormatChoice,
    layer: IntegerLayer | None,
    steps: tuple[Step, ...],
) -> Iterator[Measurement]:
    works = (work_of(config, shape, choice, layer),)
    for bus in bus_list:
        yield Measurement(
            job=job,
            layer=shape.name,
            config=config,
            choice=choice,
            bytes_per_cycle=bus.bytes_per_cycle,
            latency=bus.latency,
            works=works,
            steps=steps,
        )


def network_measurements(config: CoreConfig, bus_list: Sequence[Bus], networks: Networks) -> Iterator[Measurement]:
    """The whole network as one job: a single image, and images in a row. Raises PlacementError."""
    for choice in NETWORK_FORMATS:
        network = networks.network(choice)
        works = network_works(config, network)
        for variant in VARIANTS:
            steps = network_steps(config, network, networks.images, networks.logits(choice), variant)
            for bus in bus_list:
                yield Measurement(
                    job=NETWORK_JOB,
                    variant=variant,
                    layer="all",
                    config=config,
                    choice=choice,
                    bytes_per_cycle=bus.bytes_per_cycle,
                    latency=bus.latency,
                    works=works,
                    load_bytes=network.shape.image_bytes,
                    steps=steps,
                )
