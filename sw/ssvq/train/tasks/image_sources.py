"""Where the images of training and evaluation come from: memory, or the files of a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sized
from typing import Protocol, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ssvq.train.processes import Part
from ssvq.train.seeds import generator

Labelled = tuple[Tensor, Tensor]
"""Images (B, C, H, W) and labels int64 (B,)."""
NO_CLASS = -1
Augment = Callable[[Tensor, torch.Generator], Tensor]


class ImageSource(Protocol):
    """Training and evaluation images.

    Attributes:
        labelled: whether the labels mean something.
        train_count, evaluation_count: how many there are.
        evaluation_batch_size: images of a batch of `evaluation`.
    """

    labelled: bool
    train_count: int
    evaluation_count: int
    evaluation_batch_size: int

    def training(self, order: Tensor, *, epoch: int, first: int, part: Part) -> Iterator[Labelled]:
        """A process's part of batches with the images of the given numbers, (steps, B), from a step on."""

    def evaluation(self, part: Part) -> Iterator[Labelled]:
        """A process's part of the evaluation images."""


class ImagesInMemory:
    """An `ImageSource` of tensors.

    Args:
        train, evaluation: images uint8 (N, C, H, W) and labels.
        normalise: turns pixels into float32.
        augment: gives random views of normalised images; None leaves them as they are.
        evaluation_batch_size: images of a batch of evaluation.
        seed: of the views.
    """

    labelled = True

    def __init__(
        self,
        train: Labelled,
        evaluation: Labelled,
        *,
        normalise: Callable[[Tensor], Tensor],
        augment: Augment | None,
        evaluation_batch_size: int,
        seed: int,
    ) -> None:
        self._train, self._evaluation = train, evaluation
        self._normalise, self._augment, self._seed = normalise, augment, seed
        self.evaluation_batch_size = evaluation_batch_size
        self.train_count, self.evaluation_count = len(train[0]), len(evaluation[0])

    def training(self, order: Tensor, *, epoch: int, first: int, part: Part) -> Iterator[Labelled]:
        """See `ImageSource`."""
        for step in range(first, len(order)):
            images = self._normalise(self._train[0][order[step]])
            if self._augment is not None:
                # of the whole batch, so that the views do not depend on the number of processes
                images = self._augment(images, generator(self._seed, "views", epoch, step))
            own = part.of(len(images))
            yield images[own], self._train[1][order[step]][own]

    def evaluation(self, part: Part) -> Iterator[Labelled]:
        """See `ImageSource`."""
        own = part.of(self.evaluation_count)
        images, labels = (torch.split(tensor[own], self.evaluation_batch_size) for tensor in self._evaluation)
        for batch, classes in zip(images, labels, strict=True):
            if len(batch):
                yield self._normalise(batch), classes


class SizedDataset(Sized, Protocol):
    """A data set whose views are a function of item and epoch, such as `ssvq.data.image_folder.ImageFolder`."""

    def set_epoch(self, epoch: int) -> None:
        """Choose the views."""

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """An image (C, H, W) and its class."""


class UnlabelledDataset(Sized, Protocol):
    """Images (C, H, W) alone, as of `ssvq.data.photos.Photos`."""

    def set_epoch(self, epoch: int) -> None:
        """Choose the views."""

    def __getitem__(self, index: int) -> Tensor:
        """An image."""


class Unlabelled(Dataset[tuple[Tensor, int]]):
    """A data set of images alone, with `NO_CLASS` for each.

    Args:
        images: the data set.
    """

    def __init__(self, images: UnlabelledDataset) -> None:
        self._images = images

    def set_epoch(self, epoch: int) -> None:
        """Choose the views of an epoch."""
        self._images.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """An image and no class."""
        return self._images[index], NO_CLASS


class ImageFiles:
    """An `ImageSource` that reads files in processes of its own.

    Args:
        train, evaluation: data sets.
        evaluation_batch_size: images of a batch of evaluation.
        workers: number of processes; 0 reads in this one.
        labelled: whether the classes mean something.
    """

    def __init__(
        self,
        train: SizedDataset,
        evaluation: SizedDataset,
        *,
        evaluation_batch_size: int,
        workers: int,
        labelled: bool = True,
    ) -> None:
        self.labelled = labelled
        self._train, self._evaluation, self._workers = train, evaluation, workers
        self.evaluation_batch_size = evaluation_batch_size
        self.train_count, self.evaluation_count = len(train), len(evaluation)

    def training(self, order: Tensor, *, epoch: int, first: int, part: Part) -> Iterator[Labelled]:
        """See `ImageSource`."""
        self._train.set_epoch(epoch)
        return self._read(self._train, [batch[part.of(len(batch))].tolist() for batch in order[first:]])

    def evaluation(self, part: Part) -> Iterator[Labelled]:
        """See `ImageSource`."""
        own = torch.arange(self.evaluation_count)[part.of(self.evaluation_count)]
        return self._read(self._evaluation, [batch.tolist() for batch in torch.split(own, self.evaluation_batch_size)])

    def _read(self, dataset: SizedDataset, batches: list[list[int]]) -> Iterator[Labelled]:
        loader: DataLoader[tuple[Tensor, int]] = DataLoader(
            cast("Dataset[tuple[Tensor, int]]", dataset),
            batch_sampler=[batch for batch in batches if batch],
            num_workers=self._workers,
            pin_memory=torch.cuda.is_available(),
            # the views have seeds of their own; without this the loader takes numbers from torch's generator
            generator=torch.Generator(),
        )
        for images, labels in loader:  # noqa: UP028  # they come as lists
            yield images, labels
