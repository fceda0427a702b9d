"""Looking up codewords, with a gradient that is summed in the order of the codewords.

PyTorch's own gradient of a lookup adds row after row to a table, one small sum at a time. Which subvectors share a
codeword never changes in training, so here they are sorted once, and every gradient is a sum over bags.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional


class CodewordIndices(nn.Module):
    """Which codeword each subvector has.

    Members:
        indices: int32 buffer of any shape.
        order: int32 buffer (number of indices,), positions in the flattened indices, sorted by codeword.
        starts: int32 buffer (k,), where in `order` those of each codeword begin.

    Args:
        indices: integers in 0..size - 1.
        size: k, codewords.
    """

    indices: Tensor
    order: Tensor
    starts: Tensor

    def __init__(self, indices: Tensor, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("indices", indices.to(torch.int32))
        for name, found in zip(("order", "starts"), self._sorted(), strict=True):
            self.register_buffer(name, found, persistent=False)
        self.register_load_state_dict_post_hook(_sort)  # type: ignore[no-untyped-call]

    def lookup(self, codebook: Tensor) -> Tensor:
        """Codewords float (k, d) by index: the shape of the indices, and d."""
        found: Tensor = _Lookup.apply(codebook, self.indices, self.order, self.starts)  # type: ignore[no-untyped-call]
        return found

    def _sorted(self) -> tuple[Tensor, Tensor]:
        values, order = self.indices.flatten().sort(stable=True)
        starts = torch.searchsorted(values, torch.arange(self.size, dtype=torch.int32, device=values.device))
        return order.to(torch.int32), starts.to(torch.int32)


def codeword_sums(values: Tensor, order: Tensor, starts: Tensor) -> Tensor:
    """(k, d): for every codeword the sum of its subvectors' rows of `values`, float (number of indices, d)."""
    return functional.embedding_bag(order, values, starts, mode="sum")


def _sort(indices: CodewordIndices, _keys: object) -> None:
    """Follow a state dict that has been loaded."""
    indices.order, indices.starts = indices._sorted()


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, codebook: Tensor, indices: Tensor, order: Tensor, starts: Tensor) -> Tensor:
        ctx.save_for_backward(order, starts)
        return functional.embedding(indices, codebook)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        order, starts = ctx.saved_tensors
        return codeword_sums(gradient.reshape(-1, gradient.shape[-1]), order, starts), None, None, None
