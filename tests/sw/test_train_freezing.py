import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ssvq.train.freeze_schedule import FLIPS_LEAST, FreezeConfig, FreezeSchedule, FreezeVariant
from ssvq.train.freezing import SignFreezer
from ssvq.train.sign_memory import VOTE_FOLD_STEPS, VOTE_MAX, DecayingSum, MajorityVote, signs

HALF = 2.0**-9
"""Relative error that float16 may add to a sum of flips over its window: a few roundings of 2^-11."""
FREEZING = [FreezeVariant.MAJORITY, FreezeVariant.AVERAGE, FreezeVariant.FINAL]


def small_config(**changes: object) -> FreezeConfig:
    """Freezes often, after few flips."""
    values = {"window_steps": 10, "freeze_interval": 3, "threshold_start": 0.4, "threshold_end": 0.15, "flips_min": 1.5}
    return FreezeConfig.from_dict({**values, **changes})


class DenseReference:
    """Every average and every count in float64, updated for every sign in every step."""

    def __init__(self, latents: Tensor, schedule: FreezeSchedule) -> None:
        self.schedule = schedule
        self.sign = torch.where(latents < 0, -1.0, 1.0).double()
        self.flip_average = torch.zeros_like(self.sign)
        self.votes = torch.zeros_like(self.sign)
        self.sign_average = self.sign.clone()
        self.frozen = torch.zeros_like(self.sign, dtype=torch.bool)

    def step(self, proposed: Tensor, step: int, latents: Tensor, frozen: Tensor) -> None:
        """Check what became of the `proposed` latents; where rounding may decide, go on with what was decided."""
        momentum = self.schedule.momentum
        self.votes += self.sign
        self.sign_average = momentum * self.sign_average + (1 - momentum) * self.sign
        moved = torch.where(self.frozen, self.sign, torch.where(proposed < 0, -1.0, 1.0).double())
        self.flip_average = momentum * self.flip_average + (1 - momentum) * (moved != self.sign)
        self.sign = moved
        actual = torch.where(latents < 0, -1.0, 1.0).double()
        if self.schedule.is_due(step):
            threshold = self.schedule.threshold(step)
            assert not (frozen & ~self.frozen & (self.flip_average < threshold * (1 - HALF))).any()
            assert not (~frozen & (self.flip_average > threshold * (1 + HALF))).any()
            now = frozen & ~self.frozen
            memory = {
                FreezeVariant.MAJORITY: self.votes,
                FreezeVariant.AVERAGE: self.sign_average,
                FreezeVariant.FINAL: self.sign,
            }[self.schedule.config.variant]
            wanted = torch.where(memory == 0, self.sign, memory.sign())
            unsure = (memory.abs() < 2 * HALF) & (self.schedule.config.variant is FreezeVariant.AVERAGE)
            self.sign = torch.where(now, torch.where(unsure, actual, wanted), self.sign)
            self.frozen = frozen.clone()
        assert torch.equal(frozen, self.frozen)
        assert torch.equal(actual, self.sign)


def trajectory(count: int, seed: int, rates: Tensor) -> Iterator[Tensor]:
    """Factors of -1 and 1, (count,), one after the other, each sign flipping at its own rate."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield torch.where(torch.rand(count, generator=generator) < rates, -1.0, 1.0)


@settings(max_examples=40, deadline=None)
@given(
    variant=st.sampled_from([*FREEZING, FreezeVariant.NONE]),
    seed=st.integers(0, 2**32),
    total_steps=st.integers(1, 150),
    window=st.integers(4, 60),
    interval=st.integers(1, 20),
)
def test_sparse_is_dense(variant: FreezeVariant, seed: int, total_steps: int, window: int, interval: int) -> None:
    config = small_config(variant=variant, window_steps=window, freeze_interval=interval)
    latents = torch.randn(64, generator=torch.Generator().manual_seed(seed))
    follow(latents, config, total_steps, trajectory(64, seed, torch.linspace(0, 0.9, 64)))


def follow(latents: Tensor, config: FreezeConfig, total_steps: int, factors: Iterator[Tensor]) -> SignFreezer:
    """Run a freezer and check it against the reference in every step."""
    freezer = SignFreezer({"layer": latents}, config, total_steps)
    reference = DenseReference(latents, freezer.schedule)
    for step in range(1, total_steps + 1):
        latents *= next(factors)
        proposed = latents.clone()
        freezer.step()
        assert torch.equal(latents.abs(), proposed.abs())
        reference.step(proposed, step, latents, freezer.frozen("layer"))
    return freezer


@pytest.mark.parametrize("variant", [FreezeVariant.MAJORITY, FreezeVariant.AVERAGE])
def test_longer_than_a_fold(variant: FreezeVariant) -> None:
    total_steps = 2 * VOTE_FOLD_STEPS + 200
    config = small_config(
        variant=variant, window_steps=400, freeze_interval=700, threshold_start=0.0075, threshold_end=0.004
    )
    latents = torch.randn(300, generator=torch.Generator().manual_seed(1))
    freezer = follow(latents, config, total_steps, trajectory(300, 2, torch.linspace(0, 0.02, 300)))
    assert 0.1 < freezer.stats().total.frozen_share < 0.9


def test_majority_is_exact_until_a_lead_is_cut() -> None:
    # positive for the first so many steps, negative for the rest
    positive = torch.tensor([VOTE_MAX - 1, VOTE_MAX, VOTE_MAX + 1, 2 * VOTE_MAX])
    memory = MajorityVote(4, torch.device("cpu"))
    negative = torch.zeros(4, dtype=torch.uint8)
    flips = {int(step): number for number, step in enumerate(positive)}
    for step in range(1, 2 * VOTE_MAX + 1):
        memory.advance(negative, step)
        if step in flips and step < 2 * VOTE_MAX:
            index = torch.tensor([flips[step]])
            memory.flip(index, torch.ones(1, dtype=torch.int16), step)
            negative[index] = 1
    chosen = memory.choose(torch.arange(4), signs(negative), 2 * VOTE_MAX)
    assert chosen.tolist() == [-1, -1, 1, 1]


@pytest.mark.parametrize("total_steps", [20, 33, 100, 1_000, 10_000, 100_000])
def test_one_flip_never_freezes_and_many_do(total_steps: int) -> None:
    schedule = FreezeSchedule(config=FreezeConfig(), total_steps=total_steps)
    assert schedule.threshold_flips(total_steps) >= FLIPS_LEAST
    # sign number i flips once, in step flip_steps[i]; the last one flips in every other step for a while
    flip_steps = torch.linspace(1, total_steps, 100).long()
    often = range(max(1, total_steps // 2 - 4 * schedule.window), total_steps // 2, 2)
    flips = DecayingSum(101, schedule.window, torch.device("cpu"))
    frozen = torch.zeros(101, dtype=torch.bool)
    for step in sorted({*flip_steps.tolist(), *often, *range(schedule.interval, total_steps + 1, schedule.interval)}):
        flips.advance(step)
        flips.add((flip_steps == step).nonzero()[:, 0], 1.0, step)
        if step in often:
            flips.add(torch.tensor([100]), 1.0, step)
        if schedule.is_due(step):
            frozen |= flips.above(schedule.threshold_flips(step), step, torch.empty(101, dtype=torch.bool))
    assert frozen.nonzero().flatten().tolist() == [100]


@pytest.mark.parametrize("total_steps", [20, 80, 500])
def test_one_flip_in_a_whole_run(total_steps: int) -> None:
    latents = torch.ones(total_steps)
    freezer = SignFreezer({"layer": latents}, FreezeConfig(), total_steps)
    for step in range(total_steps):
        latents[step] *= -1
        freezer.step()
    stats = freezer.stats().total
    assert (stats.flips_total, stats.changed, stats.frozen) == (total_steps, total_steps, 0)
    assert (latents == -1).all()


def test_frozen_signs_are_put_back() -> None:
    latents = torch.tensor([0.5, 0.5, -0.25])
    freezer = SignFreezer({"layer": latents}, small_config(), 300)
    for step in range(150):
        latents[:2] = -0.5 if step % 3 == 0 else 0.5
        freezer.step()
    assert freezer.frozen("layer").tolist() == [True, True, False]
    assert freezer.stats().total.flips == 0
    latents.copy_(torch.tensor([-0.125, -0.0, 0.25]))
    freezer.step()
    assert latents.tolist() == [0.125, 0.0, 0.25]
    assert freezer.stats().total == freezer.stats().layers["layer"]
    assert (freezer.stats().total.flips, freezer.stats().total.changed, freezer.stats().total.frozen) == (1, 1, 2)


def test_zero_is_positive_and_a_frozen_zero_moves_off() -> None:
    latents = torch.tensor([0.0, -0.0, -1.0])
    freezer = SignFreezer({"layer": latents}, small_config(), 300)
    freezer.step()
    assert freezer.stats().total.flips == 0
    for step in range(150):
        latents[2] = 1.0 if step % 3 == 0 else -1.0
        freezer.step()
    latents[2] = 0.0
    freezer.step()
    assert freezer.frozen("layer").tolist() == [False, False, True]
    assert latents[2] == -torch.finfo(torch.float32).tiny


def test_none_changes_nothing() -> None:
    latents = torch.randn(50, generator=torch.Generator().manual_seed(0))
    freezer = SignFreezer({"layer": latents}, small_config(variant="none"), 60)
    initial, flips = latents.clone(), 0
    for factor, _ in zip(trajectory(50, 0, torch.full((50,), 0.5)), range(60), strict=False):
        latents *= factor
        before = latents.clone()
        freezer.step()
        flips += int((factor < 0).sum())
        assert torch.equal(latents, before)
    stats = freezer.stats()
    assert stats.step == freezer.steps_done == 60
    assert (stats.total.frozen_share, stats.total.flips_total) == (0, flips)
    assert stats.total.changed_share == int(((latents < 0) != (initial < 0)).sum()) / 50
    assert stats.total.flip_rate == stats.total.flips / 50


def two_layers(seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {"first": torch.randn(8, 3, generator=generator), "second": torch.randn(4, 2, 3, 3, generator=generator)}


def move(latents: dict[str, Tensor], step: int) -> None:
    for number, latent in enumerate(latents.values()):
        latent += 0.7 * torch.randn(latent.shape, generator=torch.Generator().manual_seed(1000 * number + step))


@pytest.mark.parametrize("variant", list(FreezeVariant))
@pytest.mark.parametrize("stop", [1, 29, 30])
def test_resume_is_exact(variant: FreezeVariant, stop: int) -> None:
    config = small_config(variant=variant)
    latents = two_layers(0)
    freezer = SignFreezer(latents, config, 80)
    for step in range(stop):
        move(latents, step)
        freezer.step()
    saved = copy.deepcopy((latents, freezer.state_dict()))
    for step in range(stop, 80):
        move(latents, step)
        freezer.step()

    resumed_latents = two_layers(1)
    resumed = SignFreezer(resumed_latents, config, 80)
    for name, latent in saved[0].items():
        resumed_latents[name].copy_(latent)
    resumed.load_state_dict(saved[1])
    for step in range(stop, 80):
        move(resumed_latents, step)
        resumed.step()
    assert resumed.stats() == freezer.stats()
    assert (freezer.stats().total.frozen > 0) == (variant is not FreezeVariant.NONE)
    for name in latents:
        assert torch.equal(latents[name], resumed_latents[name])
        ours, theirs = freezer.state_dict()["layers"][name], resumed.state_dict()["layers"][name]
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(torch.as_tensor(ours[key]), torch.as_tensor(theirs[key])) for key in ours)


def test_state_survives_a_file(tmp_path: Path) -> None:
    latents = two_layers(0)
    freezer = SignFreezer(latents, small_config(), 80)
    move(latents, 0)
    freezer.step()
    torch.save(freezer.state_dict(), tmp_path / "state.pt")
    other = SignFreezer(latents, small_config(), 80)
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert other.stats() == freezer.stats()


def held_bytes(holder: object, seen: set[int]) -> int:
    """Bytes of all tensors that an object holds."""
    if id(holder) in seen:
        return 0
    seen.add(id(holder))
    if isinstance(holder, Tensor):
        return holder.untyped_storage().nbytes()
    parts = holder.values() if isinstance(holder, dict) else getattr(holder, "__dict__", {}).values()
    return sum(held_bytes(part, seen) for part in parts)


@pytest.mark.parametrize(
    ("variant", "bytes_per_sign"),
    [(FreezeVariant.NONE, 1), (FreezeVariant.FINAL, 3), (FreezeVariant.AVERAGE, 5), (FreezeVariant.MAJORITY, 5)],
)
def test_memory(variant: FreezeVariant, bytes_per_sign: int) -> None:
    latents = {"large": torch.ones(4000), "small": torch.ones(1000)}
    freezer = SignFreezer(latents, small_config(variant=variant), 100)
    freezer.step()
    state = freezer.state_dict()["layers"].values()
    assert sum(value.nbytes for layer in state for value in layer.values() if isinstance(value, Tensor)) == (
        bytes_per_sign * 5000
    )
    held = held_bytes(freezer, {id(latent) for latent in latents.values()})
    assert held == freezer.state_bytes() == bytes_per_sign * 5000 + 4000 <= 6 * 5000


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_parameters_of_other_types(dtype: torch.dtype) -> None:
    weight = torch.nn.Parameter(torch.full((3, 2), 0.5, dtype=dtype))
    freezer = SignFreezer({"layer": weight}, small_config(), 300)
    for step in range(150):
        with torch.no_grad():
            weight[0] = -0.5 if step % 3 == 0 else 0.5
        freezer.step()
    assert freezer.frozen("layer").tolist() == [[True, True], [False, False], [False, False]]
    assert weight.dtype == dtype
    assert weight.requires_grad


def test_nan_names_the_layer_and_changes_nothing() -> None:
    latents = two_layers(0)
    freezer = SignFreezer(latents, small_config(), 80)
    freezer.step()
    freezer.step()
    latents["second"][1, 1, 1, 1] = torch.nan
    before = copy.deepcopy(freezer.state_dict())
    with pytest.raises(ValueError, match="second: latents must be numbers, but 1 are NaN"):
        freezer.step()
    assert freezer.steps_done == 2
    assert str(freezer.state_dict()) == str(before)
    with pytest.raises(ValueError, match="layer: latents must be numbers, but 2 are NaN"):
        SignFreezer({"layer": torch.tensor([torch.nan, 1.0, torch.nan])}, FreezeConfig(), 10)
    SignFreezer({"layer": torch.tensor([torch.inf, -torch.inf])}, FreezeConfig(), 10)


def test_latents_that_are_refused() -> None:
    tensor = torch.ones(4, 2)
    for latents, error, text in (
        ({}, ValueError, "latents must not be empty"),
        ({"a": torch.ones(3, dtype=torch.int32)}, TypeError, "a: latents must be floating point, not torch.int32"),
        ({"a": torch.ones(0, 2)}, ValueError, r"a: latents must not be empty, shape \(0, 2\)"),
        ({"a": tensor.t()}, ValueError, r"a: latents must be contiguous, not of stride \(1, 2\)"),
        ({"a": tensor, "b": tensor}, ValueError, "b: latents must be given once, but are those of a"),
    ):
        with pytest.raises(error, match=text):
            SignFreezer(latents, FreezeConfig(), 100)


def test_states_that_are_refused() -> None:
    latents = two_layers(0)
    freezer = SignFreezer(latents, small_config(), 80)
    state = copy.deepcopy(freezer.state_dict())

    def changed(**changes: object) -> dict[str, object]:
        return {**state, **changes}

    layers = state["layers"]
    first = layers["first"]
    for broken, text in (
        ({"step": 0}, "state must hold"),
        (changed(step=-1), "step must be in 0..1000000000, not -1"),
        (changed(total_steps=81), "total_steps must be that of the state, 81, not 80"),
        (
            changed(config=small_config(variant="final").to_dict()),
            "config must be that of the state, {'variant': 'final'",
        ),
        (changed(layers={"first": first}), r"layers must be those of the state; only one of both has \['second'\]"),
        (changed(layers={**layers, "first": {}}), "first: state must hold"),
        (
            changed(layers={**layers, "first": {**first, "memory": torch.zeros(3, dtype=torch.int16)}}),
            r"first: state memory must be torch.int16 \(24,\), not torch.int16 \(3,\)",
        ),
        (changed(layers={**layers, "first": {**first, "memory": 3}}), r"memory must be torch.int16 \(24,\), not 3"),
        (changed(layers={**layers, "first": {**first, "flips": 1.5}}), "first: state flips must be an int, not 1.5"),
        (
            changed(layers={**layers, "second": {**layers["second"], "flags": 3 - layers["second"]["flags"]}}),
            "second: state must be of the same step as the latents, but 72 signs differ",
        ),
    ):
        with pytest.raises(ValueError, match=text):
            freezer.load_state_dict(broken)
    assert str(freezer.state_dict()) == str(state)


def test_majority_finds_the_better_sign() -> None:
    # each weight is sign * 1, its loss (weight - target)^2 / 2, so that the better sign is that of the target, and a
    # sign oscillates the more evenly the smaller the target
    def right(variant: FreezeVariant) -> float:
        generator = torch.Generator().manual_seed(0)
        target = 2 * torch.rand(2000, generator=generator) - 1
        latents = target + torch.randn(2000, generator=generator)
        freezer = SignFreezer({"layer": latents}, FreezeConfig(variant=variant), 400)
        for _ in range(400):
            gradient = torch.where(latents < 0, -1.0, 1.0) - target + torch.randn(2000, generator=generator)
            latents -= 0.1 * gradient
            freezer.step()
        frozen = freezer.frozen("layer") if variant is not FreezeVariant.NONE else torch.ones(2000, dtype=torch.bool)
        assert frozen.float().mean() > 0.5
        return float(((latents < 0) == (target < 0))[frozen].float().mean())

    shares = {variant: right(variant) for variant in FreezeVariant}
    assert shares[FreezeVariant.MAJORITY] > shares[FreezeVariant.AVERAGE] > 0.85
    # a sign passes the threshold right after flips, and thus often on its rarer side
    assert shares[FreezeVariant.FINAL] < shares[FreezeVariant.NONE] < 0.8
