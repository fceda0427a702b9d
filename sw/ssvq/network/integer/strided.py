"""Logical tensors as strided views of stored ones, which are matrices of activations and channels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ssvq.network.tensor_type import Shape
from ssvq.reference import Int8Array


@dataclass(frozen=True, kw_only=True)
class View:
    """Where the elements of a tensor are in a stored one, counted row by row: activation t, channel c is t * C + c.

    Attributes:
        tensor: name of the stored one.
        offset: of the first element.
        shape: of the view.
        strides: elements from one place of an axis to the next; 0 where one element stands for all.
    """

    tensor: str
    offset: int = 0
    shape: Shape
    strides: tuple[int, ...]

    @classmethod
    def whole(cls, tensor: str, shape: Shape) -> View:
        """A stored tensor's elements in their order, in any shape of as many."""
        return cls(tensor=tensor, shape=shape, strides=_contiguous(shape))

    def transposed(self, permutation: tuple[int, ...]) -> View:
        """Axes in another order."""
        shape, strides = (tuple(values[axis] for axis in permutation) for values in (self.shape, self.strides))
        return replace(self, shape=shape, strides=strides)

    def sliced(self, axis: int, start: int, stop: int, step: int) -> View:
        """Places start, start + step, ... before stop of an axis."""
        offset = self.offset + start * self.strides[axis]
        shape = (*self.shape[:axis], len(range(start, stop, step)), *self.shape[axis + 1 :])
        strides = (*self.strides[:axis], self.strides[axis] * step, *self.strides[axis + 1 :])
        return replace(self, offset=offset, shape=shape, strides=strides)

    def expanded(self, shape: Shape) -> View:
        """Axes in front, and axes of length 1 to longer ones."""
        missing = len(shape) - len(self.shape)
        lengths, strides = (1,) * missing + self.shape, (0,) * missing + self.strides
        wider = tuple(0 if old != new else stride for old, new, stride in zip(lengths, shape, strides, strict=True))
        return replace(self, shape=shape, strides=wider)

    def matrices(self) -> list[View]:
        """The last two axes, for each place of those before."""
        batch = self.shape[:-2]
        found = []
        for places in np.ndindex(*batch):
            steps = sum(place * stride for place, stride in zip(places, self.strides, strict=False))
            found.append(replace(self, offset=self.offset + steps, shape=self.shape[-2:], strides=self.strides[-2:]))
        return found

    def reshaped(self, shape: Shape) -> View | None:
        """The same elements in the same order in another shape; None when no strides give that."""
        axes = [(length, stride) for length, stride in zip(self.shape, self.strides, strict=True) if length != 1]
        merged: list[list[int]] = []  # runs of axes that follow each other without gaps: length, stride of the last
        for length, stride in axes:
            if merged and merged[-1][1] == length * stride:
                merged[-1] = [merged[-1][0] * length, stride]
            else:
                merged.append([length, stride])
        strides = [0] * len(shape)
        for axis in range(len(shape) - 1, -1, -1):
            length = shape[axis]
            if length == 1:
                continue
            if not merged or merged[-1][0] % length:
                return None
            strides[axis] = merged[-1][1]
            merged[-1] = [merged[-1][0] // length, merged[-1][1] * length]
            if merged[-1][0] == 1:
                merged.pop()
        return replace(self, shape=shape, strides=tuple(strides))

    def read(self, stored: Int8Array) -> Int8Array:
        """The view of a stored tensor's values, (T, C)."""
        flat = np.ascontiguousarray(stored).reshape(-1)
        return as_strided(flat[self.offset :], self.shape, self.strides, writeable=False)


@dataclass(frozen=True, kw_only=True)
class Block:
    """Some channels of some activations of a stored tensor: what an operation reads or writes.

    Attributes:
        tensor: name of the stored one.
        token, channel: the first ones.
        tokens, channels: how many.
        step: activations of the stored tensor from one to the next; 0 where one stands for all.
    """

    tensor: str
    token: int = 0
    channel: int = 0
    tokens: int
    channels: int
    step: int = 1


def block_of(view: View, stored_channels: int, *, repeated: bool = False) -> Block | None:
    """A view's last axis as channels, and all before it as activations; None when they are not evenly spaced.

    With `repeated`, one activation may stand for all.
    """
    channels = view.shape[-1] if view.shape else 1
    rows = view.reshaped((math.prod(view.shape[:-1]), channels))
    if rows is None:
        return None
    tokens, (token_stride, channel_stride) = rows.shape[0], rows.strides
    token, channel = divmod(view.offset, stored_channels)
    evenly = tokens == 1 or (token_stride > -repeated and token_stride % stored_channels == 0)
    if (channels > 1 and channel_stride != 1) or not evenly or channel + channels > stored_channels:
        return None
    step = token_stride // stored_channels if tokens > 1 else 1
    return Block(tensor=view.tensor, token=token, channel=channel, tokens=tokens, channels=channels, step=step)


def stored_order(view: View, stored_channels: int) -> tuple[int, ...]:
    """A view's axes from the widest steps to the narrowest, as they are stored: the channels are last.

    Axes of length 1 are first; but of a single channel one of them is last, where there is one.
    """
    axes = sorted(range(len(view.shape)), key=lambda axis: (view.shape[axis] != 1, -view.strides[axis], axis))
    alone = [axis for axis in axes if view.shape[axis] == 1]
    has_channels = stored_channels > 1 and any(
        stride == 1 and length > 1 for length, stride in zip(view.shape, view.strides, strict=True)
    )
    if alone and not has_channels:
        axes.remove(alone[-1])
        axes.append(alone[-1])
    return tuple(axes)


def inverse_order(order: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that takes axes in an order back to where they were."""
    return tuple(order.index(axis) for axis in range(len(order)))


def _contiguous(shape: Shape) -> tuple[int, ...]:
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
