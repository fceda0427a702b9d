"""Where a transformer's tensors are in the activation memory while it runs."""

from __future__ import annotations

from dataclasses import dataclass

from ssvq_gen.config import CoreConfig

from .shapes import Transformer


class PlacementError(ValueError):
    """The network does not fit the activation memory; the message says by how much."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A tensor: token t begins at word `word + t * stride`."""

    word: int
    stride: int
    tokens: int

    @property
    def end(self) -> int:
        """First word behind it."""
        return self.word + self.tokens * self.stride

    def from_token(self, token: int) -> Place:
        """The tokens from `token` on."""
        return Place(word=self.word + token * self.stride, stride=self.stride, tokens=self.tokens - token)

    def from_word(self, word: int) -> Place:
        """Each token from its word `word` on."""
        return Place(word=self.word + word, stride=self.stride, tokens=self.tokens)


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

    Strides are odd, where LOAD and STORE do not need them to be otherwise: successive activations are then in
    alternating banks, which leaves every second cycle of either bank to others.
    """

    image: Place
    qkv: Place
    scores: tuple[Place, Place]
    hidden: Place
    embedded: Place
    x: Place
    logits: Place
    head_words: int

    @property
    def end(self) -> int:
        """First word that is free."""
        return self.logits.end

    def query(self, head: int) -> Place:
        """Queries of a head; after its attention, its output."""
        return self.qkv.from_word(head * self.head_words)

    def key(self, head: int, heads: int) -> Place:
        """Keys of a head."""
        return self.qkv.from_word((heads + head) * self.head_words)

    def value(self, head: int, heads: int) -> Place:
        """Values of a head."""
        return self.qkv.from_word((2 * heads + head) * self.head_words)


def place(config: CoreConfig, network: Transformer) -> Placement:
    """Place a network's tensors. Raises PlacementError when they do not fit, or when a head is no whole words."""
    if network.head_width % config.word_bytes:
        raise PlacementError(
            f"a head must be a multiple of the core's words of {config.word_bytes} bytes, not {network.head_width}"
        )
    if network.tokens > config.accumulator_depth:
        raise PlacementError(f"there are {network.tokens} tokens; the accumulators hold {config.accumulator_depth}")
    tokens = network.tokens

    def words(channels: int) -> int:
        return -(-channels // config.word_bytes)

    def odd(channels: int) -> int:
        return words(channels) | 1

    image = Place(word=0, stride=words(network.patch_channels), tokens=network.patches)
    qkv = Place(word=image.end, stride=odd(3 * network.width), tokens=tokens)
    scores = Place(word=qkv.end, stride=odd(tokens), tokens=tokens)
    hidden = Place(word=image.end, stride=odd(network.mlp), tokens=tokens)
    embedded = Place(word=max(scores.end, hidden.end), stride=odd(network.width), tokens=tokens)
    x = Place(word=embedded.from_token(1).word, stride=embedded.stride, tokens=tokens)
    other_scores = Place(word=x.word, stride=scores.stride, tokens=tokens)
    logits = Place(word=max(x.end, other_scores.end), stride=words(network.classes), tokens=1)
    placement = Placement(
        image=image,
        qkv=qkv,
        scores=(scores, other_scores),
        hidden=hidden,
        embedded=embedded,
        x=x,
        logits=logits,
        head_words=words(network.head_width),
    )
    if placement.end > config.activation_depth:
        raise PlacementError(
            f"the network takes {placement.end} words of activation memory; core {config.name!r} has "
            f"{config.activation_depth}"
        )
    return placement
