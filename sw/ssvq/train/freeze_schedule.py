"""When learned signs freeze: settings in proportion to the length of a training run, and the numbers they give.

Li et al., "SSVQ: Unleashing the Potential of Vector Quantization with Sign-Splitting", ICCV 2025, freeze the signs that
flip often, at fixed intervals, above a threshold that falls along a cosine. They follow Nagel et al., "Overcoming
Oscillations in Quantization-Aware Training", ICML 2022, where the flips are averaged with a fixed momentum. Fixed
numbers fit one length of training only, so here the window of the average and the interval are shares of the run, and
the threshold counts flips per window.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

from ssvq.quantize.formats import require_int

STEPS_MAX = 10**9
WINDOW_MIN = 8
"""Fewest steps of a derived window: a shorter one could not tell a sign that flips often from one that flips always."""
THRESHOLD_MIN = 1.25
"""Lowest threshold in flips per window. One flip counts at most 1, and float16 keeps that to 0.1 %."""
THRESHOLD_MAX = 512.0
"""Highest threshold in flips per window: float16 adds single flips exactly enough up to here."""


class FreezeVariant(StrEnum):
    """Whether signs freeze, and at which sign.

    - `NONE`: no sign freezes; flips are counted all the same.
    - `MAJORITY`: the sign that it has had for more steps since the start. The published choice.
    - `AVERAGE`: the sign of the exponential moving average of its signs.
    - `FINAL`: the sign that it has when it freezes.
    """

    NONE = "none"
    MAJORITY = "majority"
    AVERAGE = "average"
    FINAL = "final"


@dataclass(frozen=True, kw_only=True)
class FreezeConfig:
    """Settings of progressive freezing; `FreezeSchedule` makes numbers of them for a training run.

    Attributes:
        variant: whether signs freeze, and at which sign.
        window_fraction: steps over which flips are averaged, as a share of all steps, in (0, 1]; at least
            `WINDOW_MIN` steps result.
        interval_fraction: steps from one freezing to the next, as a share of all steps, in (0, 1].
        start_fraction: share of all steps before which nothing freezes, in [0, 1).
        threshold_start: flips per window above which a sign freezes first.
        threshold_end: the same at the last step; `THRESHOLD_MIN` <= threshold_end <= threshold_start, so that a single
            flip never freezes a sign.
        window_steps: steps of the window in place of `window_fraction`, at least 2.
        freeze_interval: steps of the interval in place of `interval_fraction`; published: 500.

    Raises:
        TypeError, ValueError: an attribute breaks its rule; the text names both.
    """

    variant: FreezeVariant = FreezeVariant.MAJORITY
    window_fraction: float = 0.05
    interval_fraction: float = 0.02
    start_fraction: float = 0.1
    threshold_start: float = 4.0
    threshold_end: float = 2.0
    window_steps: int | None = None
    freeze_interval: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.variant, FreezeVariant):
            raise TypeError(f"variant must be a FreezeVariant, not {self.variant!r}")
        for name in ("window_fraction", "interval_fraction"):
            if not 0 < _require_number(name, getattr(self, name)) <= 1:
                raise ValueError(f"{name} must be above 0 and at most 1, not {getattr(self, name)}")
        if not 0 <= _require_number("start_fraction", self.start_fraction) < 1:
            raise ValueError(f"start_fraction must be at least 0 and below 1, not {self.start_fraction}")
        for name in ("threshold_start", "threshold_end"):
            value = _require_number(name, getattr(self, name))
            if not THRESHOLD_MIN <= value <= THRESHOLD_MAX:
                raise ValueError(
                    f"{name} must be in {THRESHOLD_MIN}..{THRESHOLD_MAX} flips per window, so that a single flip "
                    f"never freezes a sign, not {value}"
                )
        if self.threshold_end > self.threshold_start:
            raise ValueError(
                f"threshold_end must be at most threshold_start, {self.threshold_start}, not {self.threshold_end}"
            )
        if self.window_steps is not None:
            require_int("window_steps", self.window_steps, 2, STEPS_MAX)
        if self.freeze_interval is not None:
            require_int("freeze_interval", self.freeze_interval, 1, STEPS_MAX)

    def to_dict(self) -> dict[str, str | float | int | None]:
        """Plain values by attribute name; `from_dict` is the inverse."""
        return {**asdict(self), "variant": self.variant.value}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> FreezeConfig:
        """Inverse of `to_dict`.

        Raises:
            TypeError, ValueError: unknown name, unknown variant, or an attribute breaks its rule.
        """
        arguments = dict(values)
        if "variant" in arguments:
            arguments["variant"] = FreezeVariant(str(arguments["variant"]))
        return cls(**arguments)  # type: ignore[arg-type]  # checked by __post_init__


@dataclass(frozen=True, kw_only=True)
class FreezeSchedule:
    """The numbers of progressive freezing for a training run. Steps count from 1, the first optimizer step.

    Attributes:
        config: the settings.
        total_steps: optimizer steps of the run.

    Raises:
        TypeError, ValueError: `total_steps` is no positive int, or the window is too short for the threshold: a sign
            that flips in every step has as many flips per window as the window has steps.
    """

    config: FreezeConfig
    total_steps: int

    def __post_init__(self) -> None:
        require_int("total_steps", self.total_steps, 1, STEPS_MAX)
        if self.config.threshold_start >= self.window:
            raise ValueError(
                f"threshold_start must be below the window of {self.window} steps, as no sign can flip more often, "
                f"not {self.config.threshold_start}"
            )

    @property
    def window(self) -> int:
        """Steps of the averaging window."""
        derived = max(WINDOW_MIN, round(self.config.window_fraction * self.total_steps))
        return self.config.window_steps or derived

    @property
    def momentum(self) -> float:
        """m of the average of flips: `average = m * average + (1 - m) * flipped`, m = 1 - 1 / window."""
        return 1 - 1 / self.window

    @property
    def interval(self) -> int:
        """Steps from one freezing to the next."""
        return self.config.freeze_interval or max(1, round(self.config.interval_fraction * self.total_steps))

    @property
    def start_step(self) -> int:
        """First step at which signs may freeze."""
        return max(1, math.ceil(self.config.start_fraction * self.total_steps))

    def is_due(self, step: int) -> bool:
        """Whether signs freeze after this step."""
        frozen_at_all = self.config.variant is not FreezeVariant.NONE
        return frozen_at_all and step >= self.start_step and step % self.interval == 0

    def threshold_flips(self, step: int) -> float:
        """Flips per window above which a sign freezes.

        `end + (start - end) * (1 + cos(pi * p)) / 2`, where p goes from 0 at `start_step` to 1 at `total_steps` and
        stays there.
        """
        start, end = self.config.threshold_start, self.config.threshold_end
        progress = (step - self.start_step) / max(1, self.total_steps - self.start_step)
        return end + (start - end) * (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0))) / 2

    def threshold(self, step: int) -> float:
        """Flip rate above which a sign freezes, in flips per step: `threshold_flips(step) / window`."""
        return self.threshold_flips(step) / self.window


def _require_number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, not {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, not {value}")
    return value
