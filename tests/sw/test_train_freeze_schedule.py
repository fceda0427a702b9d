"""When signs are frozen: settings, and the schedule that they make of a length of training."""

import pytest

from ssvq.train.freeze_schedule import FreezeConfig, FreezeSchedule, FreezeVariant


@pytest.mark.parametrize(
    ("values", "error", "text"),
    [
        ({"variant": "majority"}, TypeError, "variant must be a FreezeVariant, not 'majority'"),
        ({"window_scale": 0.0}, ValueError, "window_scale must be above 0, not 0.0"),
        ({"window_scale": float("nan")}, ValueError, "window_scale must be finite, not nan"),
        ({"interval_fraction": 1.5}, ValueError, "interval_fraction must be above 0 and at most 1, not 1.5"),
        ({"start_fraction": 1.0}, ValueError, "start_fraction must be at least 0 and below 1, not 1.0"),
        ({"start_fraction": "0"}, TypeError, "start_fraction must be a number, not '0'"),
        ({"threshold_start": 1.0}, ValueError, "threshold_start must be above 0 and below 1 flip per step, not 1.0"),
        ({"threshold_end": 0}, ValueError, "threshold_end must be above 0 and below 1 flip per step, not 0"),
        ({"threshold_end": 0.25}, ValueError, "threshold_end must be at most threshold_start, 0.15, not 0.25"),
        ({"flips_min": 1.0}, ValueError, "flips_min must be in 1.25..512.0, so that a single flip never .*, not 1.0"),
        ({"window_steps": 1}, ValueError, "window_steps must be in 2..1000000000, not 1"),
        ({"freeze_interval": 0}, ValueError, "freeze_interval must be in 1..1000000000, not 0"),
        ({"freeze_interval": True}, TypeError, "freeze_interval must be an int, not True"),
    ],
)
def test_settings_that_are_refused(values: dict[str, object], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        FreezeConfig(**values)  # type: ignore[arg-type]


def test_schedule() -> None:
    schedule = FreezeSchedule(config=FreezeConfig(), total_steps=10_000)
    assert (schedule.window, schedule.interval, schedule.start_step) == (100, 200, 1000)
    assert schedule.momentum == 0.99
    thresholds = [schedule.threshold(step) for step in (1, 1000, 5500, 10_000, 20_000)]
    assert thresholds == pytest.approx([0.15, 0.15, 0.085, 0.02, 0.02])
    assert schedule.threshold_flips(5500) == pytest.approx(8.5)
    assert [step for step in range(1, 1500) if schedule.is_due(step)] == [1000, 1200, 1400]
    assert not FreezeSchedule(config=FreezeConfig(variant=FreezeVariant.NONE), total_steps=10_000).is_due(1000)

    short = FreezeSchedule(config=FreezeConfig(), total_steps=20)
    assert (short.window, short.interval, short.start_step) == (8, 1, 2)
    assert short.threshold_flips(2) == short.threshold_flips(20) == short.config.flips_min

    published = FreezeSchedule(config=FreezeConfig(window_steps=50, freeze_interval=500), total_steps=12_500)
    assert (published.window, published.interval) == (50, 500)


def test_schedules_that_are_refused() -> None:
    with pytest.raises(ValueError, match="total_steps must be in 1..1000000000, not 0"):
        FreezeSchedule(config=FreezeConfig(), total_steps=0)
    with pytest.raises(ValueError, match="flips_min must be below the window of 2 steps, .*, not 2.0"):
        FreezeSchedule(config=FreezeConfig(window_steps=2), total_steps=100)
    with pytest.raises(
        ValueError, match="threshold_start must be at most 512.0 flips in the window of 4000 .*, not 600.0"
    ):
        FreezeSchedule(config=FreezeConfig(window_steps=4000), total_steps=100)


def test_config_as_plain_values() -> None:
    config = FreezeConfig(variant=FreezeVariant.AVERAGE, window_steps=10, threshold_end=0.1)
    assert FreezeConfig.from_dict(config.to_dict()) == config
    with pytest.raises(ValueError, match="'most' is not a valid FreezeVariant"):
        FreezeConfig.from_dict({"variant": "most"})
    with pytest.raises(TypeError, match="unexpected keyword argument 'window'"):
        FreezeConfig.from_dict({"window": 3})
