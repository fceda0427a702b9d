"""The task that a recipe's [data] and [distillation] describe."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from ssvq.train.data_settings import (
    DataSettings,
    FashionMnistSettings,
    GlossSettings,
    ImageFolderSettings,
    PhotoSettings,
    TextSettings,
)
from ssvq.train.seeds import generator
from ssvq.train.settings import DistillationSettings
from ssvq.train.tasks.hidden_states import hidden_layers
from ssvq.train.tasks.image_sources import ImageFiles, ImagesInMemory, ImageSource, Unlabelled
from ssvq.train.tasks.images import ImageTask
from ssvq.train.tasks.sentences import SentenceEncoder, SentenceTask
from ssvq.train.tasks.task import Task

# Loaders are imported where they are used, since each needs packages that others do not.


def make_task(data: DataSettings, model: nn.Module, *, distillation: DistillationSettings | None, seed: int) -> Task:
    """Load the data, and make the task of it.

    Args:
        data: settings.
        model: is not changed; for text it tokenizes, and its modules `encoder.layer.*` have hidden states.
        distillation: None is off.
        seed: of all that is random.

    Raises:
        ValueError: the data is malformed or too small, or the model is no encoder of text.
        MissingDataError, MissingPackageError: something is not there; the text says what to do.
    """
    if isinstance(data, TextSettings | GlossSettings):
        return _sentences(data, model, distillation, seed)
    if isinstance(data, FashionMnistSettings):
        source = _fashion_mnist(data, seed)
    else:
        source = _photos(data, seed) if isinstance(data, PhotoSettings) else _image_folder(data, seed)
    return ImageTask(
        source,
        batch_size=data.batch_size,
        seed=seed,
        distillation=distillation,
        hidden_layers=hidden_layers(model),
    )


def _fashion_mnist(data: FashionMnistSettings, seed: int) -> ImageSource:
    from ssvq.data.fashion_mnist import augmented, load_fashion_mnist, normalised

    images, labels = load_fashion_mnist("train", folder=data.folder)
    if data.held_out:
        # always the same images, whatever the seed of training, so that runs can be compared
        order = torch.randperm(len(images), generator=generator("held out"))
        held, kept = order.tensor_split([round(data.held_out * len(images))])
        train, evaluation = (images[kept], labels[kept]), (images[held], labels[held])
    else:
        train, evaluation = (images, labels), load_fashion_mnist("test", folder=data.folder)

    def views(batch: Tensor, chance: torch.Generator) -> Tensor:
        return augmented(batch, generator=chance, shift=data.shift)

    return ImagesInMemory(
        train,
        evaluation,
        normalise=normalised,
        augment=views if data.shift else None,
        evaluation_batch_size=data.evaluation_batch_size,
        seed=seed,
    )


def _image_folder(data: ImageFolderSettings, seed: int) -> ImageSource:
    from ssvq.data.image_folder import ImageFolder
    from ssvq.data.transforms import EvaluationView, TrainingView

    views = TrainingView(size=data.image_size, area=data.area, mean=data.mean, deviation=data.deviation)
    view = EvaluationView(size=data.image_size, crop=data.crop, mean=data.mean, deviation=data.deviation)
    train = ImageFolder(data.folder / data.train, transform=views, seed=seed)
    evaluation = ImageFolder(data.folder / data.validation, transform=view, classes=train.classes)
    return ImageFiles(train, evaluation, evaluation_batch_size=data.evaluation_batch_size, workers=data.workers)


def _photos(data: PhotoSettings, seed: int) -> ImageSource:
    from ssvq.data.photos import Photos, photo_files
    from ssvq.data.split import held_out
    from ssvq.data.transforms import TrainingView

    files = photo_files(data.sources)
    held = held_out([file.name for file in files], fraction=data.held_out).tolist()
    chosen = {out: [file for file, is_out in zip(files, held, strict=True) if is_out == out] for out in (True, False)}
    if not chosen[True] or not chosen[False]:
        raise ValueError(f"data.held_out must leave photos on both sides, not {len(chosen[True])} of {len(files)}")
    view = TrainingView(size=data.image_size, area=data.area, mean=data.mean, deviation=data.deviation)
    return ImageFiles(
        Unlabelled(Photos(chosen[False], view=view, views=data.views, seed=seed)),
        Unlabelled(Photos(chosen[True], view=view)),
        evaluation_batch_size=data.evaluation_batch_size,
        workers=data.workers,
        labelled=False,
    )


def _sentences(
    data: TextSettings | GlossSettings, model: nn.Module, distillation: DistillationSettings | None, seed: int
) -> SentenceTask:
    from ssvq.data.split import held_out

    if not hasattr(model, "tokenize"):
        raise ValueError(
            f"data.kind {data.kind} needs a model that tokenizes, such as minilm, not {type(model).__name__}"
        )
    if distillation is None:
        raise ValueError(f"data.kind {data.kind} has no labels: add the section [distillation]")
    texts = _texts(data)
    held = held_out(texts, fraction=data.held_out).tolist()
    return SentenceTask(
        cast(SentenceEncoder, model),
        [text for text, out in zip(texts, held, strict=True) if not out],
        [text for text, out in zip(texts, held, strict=True) if out],
        hidden_layers=hidden_layers(model),
        hidden_weight=distillation.hidden_weight,
        batch_size=data.batch_size,
        evaluation_batch_size=data.evaluation_batch_size,
        seed=seed,
    )


def _texts(data: TextSettings | GlossSettings) -> list[str]:
    if isinstance(data, GlossSettings):
        from ssvq.data.glosses import load_glosses

        return list(load_glosses(parts=data.parts, folder=data.folder).texts)
    from ssvq.data.text import read_lines

    return [line for file in data.files for line in read_lines(file)]
