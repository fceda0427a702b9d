"""Where a tensor is in the activation memory."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ssvq_gen.config import CoreConfig


@dataclass(frozen=True, kw_only=True)
class ActivationTensor:
    """An int8 tensor of `tokens` x `channels` that begins at `word`, with `stride` words from a token to the next."""

    word: int
    tokens: int
    channels: int
    stride: int

    @classmethod
    def packed(cls, config: CoreConfig, *, word: int, tokens: int, channels: int) -> ActivationTensor:
        """The tensor without gaps between its tokens, as LOAD and STORE move it in one piece."""
        return cls(word=word, tokens=tokens, channels=channels, stride=-(-channels // config.word_bytes))

    def token_words(self, config: CoreConfig) -> int:
        """Words that hold the channels of one token."""
        return -(-self.channels // config.word_bytes)

    def end(self, config: CoreConfig) -> int:
        """The word after the last one."""
        return self.word + (self.tokens - 1) * self.stride + self.token_words(config)

    def select_tokens(self, start: int, stop: int) -> ActivationTensor:
        """Tokens start .. stop - 1. Raises ValueError when they are not in the tensor."""
        if not 0 <= start < stop <= self.tokens:
            raise ValueError(f"tokens {start} to {stop} are not within {self.tokens}")
        return replace(self, word=self.word + start * self.stride, tokens=stop - start)

    def select_channels(self, config: CoreConfig, start: int, stop: int) -> ActivationTensor:
        """Channels start .. stop - 1. Raises ValueError when they are not in the tensor or do not begin with a word."""
        if not 0 <= start < stop <= self.channels:
            raise ValueError(f"channels {start} to {stop} are not within {self.channels}")
        if start % config.word_bytes:
            raise ValueError(f"channels must begin with a word of {config.word_bytes}, not with channel {start}")
        return replace(self, word=self.word + start // config.word_bytes, channels=stop - start)
