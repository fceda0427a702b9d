from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from trained_models import INT2, SSVQ, rules

from ssvq.quantize.formats import QuantizeConfig
from ssvq.train.prepare import Rounding, latent_signs, prepare
from ssvq.train.reconstruct import reconstruct


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(16, 32), nn.Linear(32, 16)

    def forward(self, x: Tensor, *, gain: float) -> Tensor:
        return x + gain * self.outer(self.inner(x).relu())


class Blocks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Block(), Block()

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x, gain=0.5), gain=2.0)


def _models(weights: QuantizeConfig, **settings: object) -> tuple[Blocks, Blocks]:
    torch.manual_seed(0)
    teacher = Blocks()
    student = copy.deepcopy(teacher)
    prepare(student, rules(weights, **settings), progress=False)
    return student, teacher


def _batches(count: int = 4) -> list[Tensor]:
    return list(torch.randn(count, 64, 16, generator=torch.Generator().manual_seed(1)))


def _run(model: nn.Module, batch: Tensor) -> object:
    return model(batch)


def _adam(block: nn.Module) -> torch.optim.Optimizer:
    signs = list(latent_signs(block).values())
    others = [p for p in block.parameters() if p.requires_grad and all(p is not sign for sign in signs)]
    return torch.optim.Adam(
        [{"params": signs, "lr": 1e-4}, {"params": others, "lr": 3e-3}] if signs else others, lr=3e-3
    )


@torch.no_grad()
def _distance(student: nn.Module, teacher: nn.Module, x: Tensor) -> float:
    return float((student(x) - teacher(x)).square().sum())


@pytest.mark.parametrize(
    ("weights", "settings"), [(SSVQ, {}), (INT2, {"rounding": Rounding.FLEXROUND})], ids=["ssvq", "flexround"]
)
def test_every_block_comes_closer_and_the_model_too(weights: QuantizeConfig, settings: dict[str, object]) -> None:
    student, teacher = _models(weights, **settings)
    unseen = torch.randn(256, 16, generator=torch.Generator().manual_seed(7))
    before = _distance(student, teacher, unseen)
    errors = reconstruct(
        student.train(), teacher, ["first", "second"], _batches(), _run, make_optimizer=_adam, steps=60, progress=False
    )
    assert student.training
    assert list(errors) == ["first", "second"]
    assert all(after < 0.9 * start for start, after in errors.values())
    assert _distance(student, teacher, unseen) < before


def test_the_same_seed_gives_the_same_weights() -> None:
    results = []
    for _ in range(2):
        student, teacher = _models(SSVQ)
        reconstruct(student, teacher, ["first"], _batches(), _run, make_optimizer=_adam, steps=5, progress=False)
        results.append(student.first.inner.weight.detach())
    assert torch.equal(*results)


def _reconstruct(student: nn.Module, teacher: nn.Module, block: str, batches: list[Tensor]) -> None:
    reconstruct(student, teacher, [block], batches, _run, make_optimizer=_adam, steps=1, progress=False)


def test_what_cannot_be_reconstructed() -> None:
    student, teacher = _models(SSVQ)
    with pytest.raises(ValueError, match="batches must not be empty"):
        _reconstruct(student, teacher, "first", [])
    with pytest.raises(ValueError, match="Blocks has no block 'third'"):
        _reconstruct(student, teacher, "third", _batches())
    student.first.requires_grad_(False)
    with pytest.raises(ValueError, match="block 'first' has nothing to learn"):
        _reconstruct(student, teacher, "first", _batches())
    for model in (student, teacher):
        model.spare = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="block 'spare' is not reached"):
        _reconstruct(student, teacher, "spare", _batches())
    bad = _batches()
    bad[0][0, 0] = torch.inf
    with pytest.raises(ValueError, match="block 'second': the error must be finite"):
        _reconstruct(student, teacher, "second", bad[:1])
