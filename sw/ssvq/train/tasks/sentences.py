"""Distillation of sentence embeddings on text without labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssvq.train.processes import Part, Processes
from ssvq.train.seeds import generator
from ssvq.train.tasks.hidden_states import outputs_of, relative_error
from ssvq.train.tasks.task import Batch, require_batches

POOL_BATCHES = 64
"""Batches among which texts of like length are put together."""
TOKENIZE_TEXTS = 1024


class SentenceEncoder(Protocol):
    """What a model must have: `forward(tokens, mask)` gives states (B, T, W) of what `tokenize` gives."""

    def tokenize(self, sentences: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token ids int64 (B, T), and a bool mask (B, T) that is False in the padding."""


class SentenceTask:
    """A `Task` on batches of (tokens int64 (B, T), mask bool (B, T)): the teacher's embeddings are learned.

    The embedding is the mean of the states of all tokens; its loss is 1 - cosine. The loss of hidden states is their
    squared error over the square of the teacher's, mean over layers.

    Args:
        encoder: tokenizes.
        train, evaluation: texts.
        hidden_layers: names of the modules whose outputs are hidden states (B, T, W).
        hidden_weight: of their loss; 0 leaves it out.
        batch_size, evaluation_batch_size: texts of a step, and of a batch of evaluation.
        seed: of the order.

    Raises:
        ValueError: there are fewer training texts than a batch has, or none to evaluate, or no layer although the
            weight is not 0.
    """

    metric_names: tuple[str, ...] = ("cosine",)

    def __init__(
        self,
        encoder: SentenceEncoder,
        train: Sequence[str],
        evaluation: Sequence[str],
        *,
        hidden_layers: Sequence[str] = (),
        hidden_weight: float = 0.0,
        batch_size: int,
        evaluation_batch_size: int,
        seed: int,
    ) -> None:
        self.steps_per_epoch = require_batches(len(train), batch_size)
        self.batch_size = batch_size
        if not evaluation:
            raise ValueError("data.held_out must leave at least one text for evaluation")
        if hidden_weight and not hidden_layers:
            raise ValueError("distillation.hidden_weight must be 0 for a model without numbered blocks")
        self.loss_names: tuple[str, ...] = ("embedding", *(("hidden",) if hidden_weight else ()))
        # those to train on are tokenized when their turn comes: a short run reads few of many
        self._encoder, self._train = encoder, list(train)
        self._evaluation = _tokenized(encoder, evaluation)
        self._hidden = tuple(hidden_layers) if hidden_weight else ()
        self._hidden_weight = hidden_weight
        self._evaluation_batch_size, self._seed = evaluation_batch_size, seed
        self._targets: Tensor | None = None

    def facts(self) -> dict[str, Any]:
        """See `Task`."""
        return {"training texts": len(self._train), "evaluation texts": len(self._evaluation)}

    def batches(self, epoch: int, part: Part, *, first: int = 0) -> Iterator[Batch]:
        """See `Task`. Texts of like length share a batch."""
        for numbers in self._order(epoch)[first:]:
            yield self._batch(numbers[part.of(len(numbers))])

    def calibration(self, count: int) -> Iterator[Batch]:
        """See `Task`."""
        order = torch.randperm(len(self._train), generator=generator(self._seed, "calibration")).tolist()
        size = self._evaluation_batch_size
        for start in range(0, min(len(order), count * size), size):
            yield self._batch(order[start : start + size])

    def _batch(self, numbers: Sequence[int]) -> Batch:
        return _padded(_tokenized(self._encoder, [self._train[number] for number in numbers]))

    def inputs(self, batch: Batch) -> tuple[Tensor, ...]:
        """See `Task`."""
        return batch

    def losses(self, student: nn.Module, teacher: nn.Module | None, batch: Batch) -> dict[str, Tensor]:
        """See `Task`.

        Raises:
            ValueError: there is no teacher.
        """
        if teacher is None:
            raise ValueError("text must have a teacher: add the section [distillation]")
        tokens, mask = batch
        with torch.no_grad(), outputs_of(teacher, self._hidden) as target_states:
            target = embedding(teacher(tokens, mask), mask)
        with outputs_of(student, self._hidden) as states:
            found = embedding(student(tokens, mask), mask)
        losses = {"embedding": 1 - (found * target).sum(1)}
        if self._hidden:
            errors = [relative_error(states[name], target_states[name], mask) for name in self._hidden]
            losses["hidden"] = self._hidden_weight * torch.stack(errors).mean(0)
        return losses

    @torch.no_grad()
    def evaluate(self, model: nn.Module, teacher: nn.Module | None, processes: Processes) -> dict[str, float]:
        """See `Task`. Mean cosine of a model's and the teacher's embeddings of texts that are not trained on."""
        if self._targets is None:
            self._targets = self._embeddings(model if teacher is None else teacher, processes)
        cosines = (self._embeddings(model, processes) * self._targets).sum(1)
        total, count = processes.total(torch.stack((cosines.sum(), torch.tensor(len(cosines))))).tolist()
        return {"cosine": total / count}

    def _embeddings(self, model: nn.Module, processes: Processes) -> Tensor:
        """Of a process's part of the evaluation texts, on the CPU."""
        own = sorted(self._evaluation[processes.part.of(len(self._evaluation))], key=len)
        training = model.training
        model.eval()
        found: list[Tensor] = []
        for start in range(0, len(own), self._evaluation_batch_size):
            batch = _padded(own[start : start + self._evaluation_batch_size])
            tokens, mask = (tensor.to(processes.device) for tensor in batch)
            found.append(embedding(model(tokens, mask), mask).cpu())
        model.train(training)
        return torch.cat(found) if found else torch.zeros(0, 1)

    def _order(self, epoch: int) -> list[list[int]]:
        """Numbers of the texts in each batch of an epoch."""
        chance = generator(self._seed, "order", epoch)
        order = torch.randperm(len(self._train), generator=chance).tolist()
        pool = POOL_BATCHES * self.batch_size
        batches: list[list[int]] = []
        for start in range(0, self.steps_per_epoch * self.batch_size, pool):
            end = min(start + pool, self.steps_per_epoch * self.batch_size)
            near = sorted(order[start:end], key=lambda number: len(self._train[number]))
            batches += [near[at : at + self.batch_size] for at in range(0, len(near), self.batch_size)]
        return [batches[number] for number in torch.randperm(len(batches), generator=chance).tolist()]


def embedding(states: Tensor, mask: Tensor) -> Tensor:
    """Means of length 1 over the tokens: states (B, T, W), mask bool (B, T) to (B, W)."""
    return functional.normalize((states * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True), dim=1)


def _tokenized(encoder: SentenceEncoder, texts: Sequence[str]) -> list[Tensor]:
    """Token ids of every text, int32 (T,)."""
    found: list[Tensor] = []
    for start in range(0, len(texts), TOKENIZE_TEXTS):
        tokens, mask = encoder.tokenize(texts[start : start + TOKENIZE_TEXTS])
        found += [row[own].to(torch.int32) for row, own in zip(tokens, mask, strict=True)]
    return found


def _padded(texts: Sequence[Tensor]) -> Batch:
    """Tokens int64 and mask of some texts."""
    tokens = nn.utils.rnn.pad_sequence([text.long() for text in texts], batch_first=True)
    lengths = torch.tensor([len(text) for text in texts])
    return tokens, torch.arange(tokens.shape[1]) < lengths[:, None]
