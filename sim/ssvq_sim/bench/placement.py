"""Where a transformer's tensors are in the activation memory while it runs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ssvq.builder import ActivationTensor
from ssvq_gen.config import CoreConfig

from .shapes import Transformer


class PlacementError(ValueError):
    """A network does not fit a core; the message says what and by how much."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """All tensors of a transformer, in the order of the memory.

        image | qkv | scores 0 | class token | scores 1 | logits
              | hidden ......  | embedded ............ |
              |                |             | x ..... |

    The image stays whole while it is used, so that the next one can be loaded over it during the rest of the network.
    The class token's words belong to nothing else: it is loaded once and for all. The first block reads `embedded`, the
    others `x`. The output of the attention replaces the queries, head by head. Two score matrices are enough, as a
    head's are used up before those of the head after the next are written.

    Strides are odd where LOAD and STORE do not need packed tokens: successive activations are then in alternating
    banks, which leaves every second cycle of either bank to others.
    """

    image: ActivationTensor
    qkv: ActivationTensor
    scores: tuple[ActivationTensor, ActivationTensor]
    hidden: ActivationTensor
    embedded: ActivationTensor
    x: ActivationTensor
    logits: ActivationTensor

    @property
    def class_token(self) -> ActivationTensor:
        """What the patch embedding leaves alone."""
        return self.embedded.select_tokens(0, 1)

    @property
    def patches(self) -> ActivationTensor:
        """Output of the patch embedding."""
        return self.embedded.select_tokens(1, self.embedded.tokens)


def odd_stride(config: CoreConfig, channels: int) -> int:
    """Words from one token to the next, at least those of the token, with which tokens alternate between the banks."""
    return -(-channels // config.word_bytes) | 1


def check_fits(config: CoreConfig, end: int) -> None:
    """Raise PlacementError when words up to `end` do not exist."""
    if end > config.activation_depth:
        raise PlacementError(
            f"the tensors take {end} words of activation memory; core {config.name!r} has {config.activation_depth}"
        )


def check_network(config: CoreConfig, network: Transformer) -> None:
    """Raise PlacementError when heads are no whole words, or there are more tokens than a core can take at once."""
    if network.head_width % config.word_bytes:
        raise PlacementError(
            f"a head must be a multiple of the core's words of {config.word_bytes} bytes, not {network.head_width}"
        )
    if network.tokens > config.accumulator_depth:
        raise PlacementError(f"there are {network.tokens} tokens; the accumulators hold {config.accumulator_depth}")


def place(config: CoreConfig, network: Transformer) -> Placement:
    """Place a network's tensors. Raises PlacementError when they do not fit, or when a head is no whole words."""
    check_network(config, network)
    tokens = network.tokens

    def spread(word: int, channels: int) -> ActivationTensor:
        return ActivationTensor(word=word, tokens=tokens, channels=channels, stride=odd_stride(config, channels))

    image = ActivationTensor.packed(config, word=0, tokens=network.patches, channels=network.patch_channels)
    qkv = spread(image.end(config), 3 * network.width)
    scores = spread(qkv.end(config), tokens)
    hidden = spread(image.end(config), network.mlp)
    embedded = spread(max(scores.end(config), hidden.end(config)), network.width)
    x = replace(embedded, word=embedded.select_tokens(1, tokens).word)
    other_scores = replace(scores, word=x.word)
    end = max(x.end(config), other_scores.end(config))
    logits = ActivationTensor.packed(config, word=end, tokens=1, channels=network.classes)
    check_fits(config, logits.end(config))
    return Placement(
        image=image,
        qkv=qkv,
        scores=(scores, other_scores),
        hidden=hidden,
        embedded=embedded,
        x=x,
        logits=logits,
    )
