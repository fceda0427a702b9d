from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import pytest
import torch
from fake_processes import FakeProcesses, alone
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize
from torch.utils.data import Dataset

from ssvq.train.processes import Part
from ssvq.train.settings import DistillationSettings
from ssvq.train.tasks.hidden_states import hidden_layers
from ssvq.train.tasks.image_sources import ImageFiles, ImagesInMemory, ImageSource, Unlabelled
from ssvq.train.tasks.images import ImageTask
from ssvq.train.tasks.sentences import SentenceTask, embedding
from ssvq.train.tasks.task import Batch, Task

COUNT, BATCH = 22, 5
PARTS = [Part(rank=rank, count=3) for rank in range(3)]


def _shifted(images: Tensor, chance: torch.Generator) -> Tensor:
    return images + torch.rand(len(images), 1, 1, 1, generator=chance)


def _labelled(count: int) -> tuple[Tensor, Tensor]:
    """Images whose pixels are their number, and labels."""
    numbers = torch.arange(count, dtype=torch.uint8)
    return numbers.view(-1, 1, 1, 1).expand(-1, 1, 2, 2).contiguous(), numbers.long() % 3


class _Views(Dataset[tuple[Tensor, int]]):
    def __init__(self, count: int) -> None:
        self.images, self.labels = _labelled(count)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index] + self.epoch / 100, int(self.labels[index])


def _in_memory(augment: Callable[[Tensor, torch.Generator], Tensor] | None = _shifted) -> ImageSource:
    return ImagesInMemory(
        _labelled(COUNT), _labelled(7), normalise=Tensor.float, augment=augment, evaluation_batch_size=3, seed=1
    )


def _in_files() -> ImageSource:
    return ImageFiles(_Views(COUNT), _Views(7), evaluation_batch_size=3, workers=0)


class _Blocks(nn.Module):
    """Two blocks that multiply images (B, 1, 2, 2), and a head that gives three logits."""

    def __init__(self, *factors: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Conv2d(1, 1, 1, bias=False) for _ in factors)
        self.head = nn.Linear(4, 3)
        nn.init.eye_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        for block, factor in zip(self.blocks, factors, strict=True):
            nn.init.constant_(block.get_parameter("weight"), factor)

    def forward(self, images: Tensor) -> Tensor:
        for block in self.blocks:
            images = block(images)
        logits: Tensor = self.head(images.flatten(1))
        return logits


def _image_task(source: ImageSource, distillation: DistillationSettings | None = None) -> ImageTask:
    return ImageTask(source, batch_size=BATCH, seed=1, distillation=distillation)


class _Encoder(nn.Module):
    """Words are numbers; states are embeddings after two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(40, 6)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList([nn.Linear(6, 6), nn.Linear(6, 6)])})

    def tokenize(self, sentences: Sequence[str]) -> tuple[Tensor, Tensor]:
        ids = [torch.tensor([int(word) for word in sentence.split()]) for sentence in sentences]
        tokens = nn.utils.rnn.pad_sequence(ids, batch_first=True)
        return tokens, torch.arange(tokens.shape[1]) < torch.tensor([len(row) for row in ids])[:, None]

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        states: Tensor = self.words(tokens) + 0.1 * mask.sum(1)[:, None, None]
        for layer in self.encoder["layer"]:
            states = layer(states)
        return states


def _encoder(seed: int) -> _Encoder:
    torch.manual_seed(seed)
    return _Encoder()


TEXTS = [" ".join(str((number + word) % 39 + 1) for word in range(number * 7 % 11 + 1)) for number in range(COUNT)]


def _sentences(hidden_weight: float = 0.0) -> SentenceTask:
    layers = ["encoder.layer.0", "encoder.layer.1"]
    return SentenceTask(
        _encoder(0),
        TEXTS,
        TEXTS[:7],
        hidden_layers=layers,
        hidden_weight=hidden_weight,
        batch_size=BATCH,
        evaluation_batch_size=3,
        seed=1,
    )


TASKS: dict[str, Callable[[], Task]] = {
    "memory": lambda: _image_task(_in_memory()),
    "files": lambda: _image_task(_in_files()),
    "sentences": _sentences,
}


def _first(batches: Iterator[Batch]) -> list[Tensor]:
    """First tensors of all batches; tokens padded to the longest text."""
    return [functional.pad(b[0], (0, 11 - b[0].shape[1])) if b[0].ndim == 2 else b[0] for b in batches]


@pytest.mark.parametrize("kind", TASKS)
def test_batches_depend_on_seed_epoch_and_step_only(kind: str) -> None:
    task = TASKS[kind]()
    assert task.steps_per_epoch == COUNT // BATCH
    whole = _first(task.batches(2, Part()))
    assert [len(batch) for batch in whole] == [BATCH] * task.steps_per_epoch
    again = TASKS[kind]()
    _ = _first(again.batches(0, Part()))  # what came before does not matter
    for found, batch in zip(_first(again.batches(2, Part(), first=2)), whole[2:], strict=True):
        assert torch.equal(found, batch)
    assert not all(torch.equal(a, b) for a, b in zip(whole, _first(task.batches(3, Part())), strict=True))


@pytest.mark.parametrize("kind", TASKS)
def test_processes_divide_each_batch(kind: str) -> None:
    task = TASKS[kind]()
    whole = _first(task.batches(1, Part()))
    parts = [_first(task.batches(1, part)) for part in PARTS]
    for step, batch in enumerate(whole):
        assert torch.equal(torch.cat([part[step] for part in parts]), batch)


@pytest.mark.parametrize("kind", TASKS)
def test_an_epoch_has_every_sample_at_most_once(kind: str) -> None:
    seen = [row.flatten().round().tolist() for batch in _first(TASKS[kind]().batches(0, Part())) for row in batch]
    if kind == "memory":
        seen = [row.flatten().tolist() for b in _first(_image_task(_in_memory(None)).batches(0, Part())) for row in b]
    assert len({str(row) for row in seen}) == COUNT // BATCH * BATCH


@pytest.mark.parametrize("kind", TASKS)
def test_calibration_has_as_many_batches_as_asked_for(kind: str) -> None:
    task = TASKS[kind]()
    batches = list(task.calibration(2))
    assert [len(batch[0]) for batch in batches] == [3, 3]
    assert all(torch.equal(a, b) for a, b in zip(task.inputs(batches[0]), task.inputs(batches[0]), strict=True))


class _Scores(nn.Module):
    """Logits that name the right class of numbers below a limit."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def forward(self, images: Tensor) -> Tensor:
        numbers = images[:, 0, 0, 0].long()
        return 2.0 * functional.one_hot((numbers + (numbers >= self.limit)) % 3, 3)


@pytest.mark.parametrize("source", [_in_memory, _in_files])
def test_accuracy_is_that_of_all_processes_images(source: Callable[[], ImageSource]) -> None:
    task, model = _image_task(source()), _Scores(5).train()
    expected = math.log(math.exp(2) + 2) - 2 * 5 / 7
    metrics = task.evaluate(model, None, alone())
    assert metrics == pytest.approx({"accuracy": 5 / 7, "cross_entropy": expected})
    assert model.training
    sums = torch.zeros(3, dtype=torch.float64)

    class Collecting(FakeProcesses):
        def total(self, values: Tensor) -> Tensor:
            sums.add_(values)
            return values

    for part in PARTS:
        task.evaluate(model, None, Collecting(part))
    assert float(sums[0] / sums[2]) == pytest.approx(metrics["accuracy"])
    assert sums[2] == 7


def _logits(seed: int) -> Tensor:
    return torch.randn(BATCH, 3, generator=torch.Generator().manual_seed(seed))


class _Constant(nn.Module):
    def __init__(self, outputs: Tensor) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, _images: Tensor) -> Tensor:
        return self.outputs


def test_losses_of_labels_and_teacher() -> None:
    student, teacher = _logits(0), _logits(1)
    batch = (torch.zeros(BATCH, 1, 2, 2), torch.tensor([0, 1, 2, 0, 1]))
    cross_entropy = -student.log_softmax(1)[range(BATCH), batch[1]]
    about = DistillationSettings(weight=0.25, temperature=2.0)
    task = _image_task(_in_memory(), about)
    found = task.losses(_Constant(student), _Constant(teacher), batch)
    assert tuple(sorted(found)) == tuple(sorted(task.loss_names)) == ("label", "teacher")
    target, own = (teacher / 2).softmax(1), (student / 2).softmax(1)
    divergence = (target * (target / own).log()).sum(1) * 4
    assert torch.allclose(found["teacher"], 0.25 * divergence, atol=1e-6)
    assert torch.allclose(found["label"], 0.75 * cross_entropy)

    unlabelled = _image_task(_in_memory(), DistillationSettings(loss="mse"))
    found = unlabelled.losses(_Constant(student), _Constant(teacher), batch)
    assert tuple(found) == unlabelled.loss_names == ("teacher",)
    assert torch.allclose(found["teacher"], (student - teacher).square().mean(1))
    with pytest.raises(ValueError, match="distillation must have a teacher"):
        task.losses(_Constant(student), None, batch)
    labelled = _image_task(_in_memory())
    assert torch.allclose(labelled.losses(_Constant(student), None, batch)["label"], cross_entropy)


def test_outputs_of_any_meaning_are_compared_with_the_teacher_s() -> None:
    task = _image_task(_in_memory(), DistillationSettings(loss="mse"))
    model, teacher = nn.Flatten(), nn.Sequential(nn.Flatten(), nn.Softshrink(1.0))  # x and x - 1, from 2 on
    numbers = torch.arange(7.0)
    targets = numbers - (numbers > 0).float()
    error = float((numbers - targets).square().sum() / targets.square().sum())
    assert task.evaluate(model, teacher, alone()) == pytest.approx({"relative_error": error})


class _Images(Dataset[Tensor]):
    def __init__(self, count: int) -> None:
        self.views = _Views(count)
        self.set_epoch = self.views.set_epoch

    def __len__(self) -> int:
        return len(self.views)

    def __getitem__(self, index: int) -> Tensor:
        return self.views[index][0]


def test_images_without_labels_are_compared_with_the_teacher() -> None:
    images = (Unlabelled(_Images(count)) for count in (COUNT, 7))
    source = ImageFiles(*images, evaluation_batch_size=3, workers=0, labelled=False)
    task = _image_task(source, DistillationSettings())
    assert next(task.batches(0, Part()))[1].tolist() == [-1] * BATCH
    metrics = task.evaluate(_Scores(5), _Scores(7), alone())
    share = math.exp(2) / (math.exp(2) + 2)
    rest = (1 - share) / 2
    assert metrics == pytest.approx({"agreement": 5 / 7, "divergence": 2 / 7 * 2 * (share - rest)})
    for distillation in (None, DistillationSettings(weight=0.5)):
        with pytest.raises(ValueError, match=r"images without labels need the section \[distillation\] with"):
            _image_task(source, distillation)


def test_hidden_states_of_images() -> None:
    distillation = DistillationSettings(weight=0.5, hidden_weight=2.0)
    student, teacher = _Blocks(2.0, 1.5), _Blocks(1.0, 3.0)
    layers = hidden_layers(student)
    assert layers == ("blocks.0", "blocks.1")
    task = ImageTask(_in_memory(None), batch_size=BATCH, seed=1, distillation=distillation, hidden_layers=layers)
    images = torch.rand(BATCH, 1, 2, 2, generator=torch.Generator().manual_seed(1)) + 1
    batch = images, torch.zeros(BATCH, dtype=torch.int64)
    found = task.losses(student, teacher, batch)
    assert set(found) == set(task.loss_names) == {"label", "teacher", "hidden"}
    # the first gives twice as much and the second the same: errors of 1 and 0
    assert torch.allclose(found["hidden"], torch.full((BATCH,), 2.0 * (1.0 + 0.0) / 2))
    assert torch.allclose(found["teacher"], torch.zeros(BATCH), atol=1e-6)
    found["hidden"].sum().backward()
    assert student.blocks[0].get_parameter("weight").grad is not None
    assert teacher.blocks[0].get_parameter("weight").grad is None
    assert not any(module._forward_hooks for module in (*student.modules(), *teacher.modules()))
    with pytest.raises(ValueError, match="hidden_weight must be 0 for a model without numbered blocks"):
        ImageTask(_in_memory(None), batch_size=BATCH, seed=1, distillation=distillation)


def test_blocks_are_the_outermost_modules_with_a_number() -> None:
    inner = nn.ModuleDict({"stem": nn.Linear(2, 2), "blocks": nn.ModuleList([nn.Sequential(nn.Linear(2, 2))])})
    model = nn.ModuleDict({"backbone": inner, "head": nn.Linear(2, 2)})
    parametrize.register_parametrization(inner["stem"], "weight", nn.Identity())
    assert hidden_layers(model) == ("backbone.blocks.0",)
    assert hidden_layers(nn.Linear(2, 2)) == ()


def test_sentences_of_like_length_share_a_batch() -> None:
    lengths = [batch[1].sum(1) for batch in _sentences().batches(0, Part())]
    assert sum(float(length.double().var()) for length in lengths) < 12  # of 1..11; about 40 in random batches


def test_losses_of_sentences() -> None:
    task, student, teacher = _sentences(hidden_weight=0.5), _encoder(1), _encoder(2)
    tokens, mask = next(task.batches(0, Part()))
    wide = functional.pad(tokens, (0, 3)), functional.pad(mask, (0, 3))
    found = task.losses(student, teacher, (tokens, mask))
    assert tuple(found) == task.loss_names == ("embedding", "hidden")
    for row in range(BATCH):
        own = tokens[row : row + 1, : int(mask[row].sum())]
        states, targets = (model(own, torch.ones_like(own)) for model in (student, teacher))
        cosine = functional.cosine_similarity(states.mean(1), targets.mean(1))
        assert torch.allclose(found["embedding"][row], 1 - cosine, atol=1e-5)
    for name, loss in task.losses(student, teacher, wide).items():
        assert torch.allclose(loss, found[name], atol=1e-6)
    assert all(float(loss.detach().abs().max()) < 1e-6 for loss in task.losses(teacher, teacher, wide).values())
    found["hidden"].sum().backward()
    assert student.words.weight.grad is not None
    assert teacher.words.weight.grad is None
    assert not any(module._forward_hooks for module in student.modules())
    with pytest.raises(ValueError, match=r"text must have a teacher: add the section \[distillation\]"):
        task.losses(student, None, wide)


def test_hidden_states_are_compared_relative_to_their_size() -> None:
    task, teacher = _sentences(hidden_weight=0.5), _encoder(2)
    student = _encoder(2)
    with torch.no_grad():
        student.encoder["layer"][1].weight.mul_(1.1)
        student.encoder["layer"][1].bias.mul_(1.1)
    loss = task.losses(student, teacher, next(task.batches(0, Part())))["hidden"]
    assert torch.allclose(loss, torch.full((BATCH,), 0.5 * 0.1**2 / 2), rtol=1e-3)  # one of two layers is 10 % larger


def test_the_cosine_of_sentences() -> None:
    teacher, task = _encoder(2), _sentences()
    assert task.evaluate(teacher, teacher, alone()) == pytest.approx({"cosine": 1.0})
    student = _encoder(3)
    tokens, mask = student.tokenize(TEXTS[:7])
    expected = (embedding(student(tokens, mask), mask) * embedding(teacher(tokens, mask), mask)).sum(1).mean()
    assert task.evaluate(student, teacher, alone()) == pytest.approx({"cosine": float(expected.detach())}, abs=1e-6)


def test_a_process_may_have_no_sentence_to_evaluate() -> None:
    assert SentenceTask(_encoder(0), TEXTS, TEXTS[:1], batch_size=BATCH, evaluation_batch_size=3, seed=0).evaluate(
        _encoder(2), _encoder(3), FakeProcesses(Part(rank=0, count=2), lambda sums: sums + 1)
    )


def test_what_is_too_little() -> None:
    with pytest.raises(ValueError, match="data.batch_size must be at most the 22 training samples, not 23"):
        ImageTask(_in_memory(), batch_size=23, seed=0, distillation=None)
    settings = {"batch_size": BATCH, "evaluation_batch_size": 3, "seed": 0}
    with pytest.raises(ValueError, match="data.held_out must leave at least one text for evaluation"):
        SentenceTask(_encoder(0), TEXTS, [], **settings)
    with pytest.raises(ValueError, match="distillation.hidden_weight must be 0 for a model without"):
        SentenceTask(_encoder(0), TEXTS, TEXTS, hidden_weight=1.0, **settings)


def test_parts_follow_each_other_without_gaps() -> None:
    for total, count in ((10, 3), (2, 5), (0, 2), (7, 1)):
        slices = [Part(rank=rank, count=count).of(total) for rank in range(count)]
        assert [number for part in slices for number in range(total)[part]] == list(range(total))
        sizes = [part.stop - part.start for part in slices]
        assert max(sizes) - min(sizes) <= 1


def test_more_processes_than_samples_leave_some_without() -> None:
    task = _image_task(_in_memory())
    sizes = [len(batch[0]) for rank in range(8) for batch in islice(task.batches(0, Part(rank=rank, count=8)), 1)]
    assert sum(sizes) == BATCH
