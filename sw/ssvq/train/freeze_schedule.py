"""When learned signs freeze: settings that fit training runs of any length, and the numbers they give for one.

Li et al., "SSVQ: Unleashing the Potential of Vector Quantization with Sign-Splitting", ICCV 2025, freeze the signs that
flip often, at fixed intervals, above a threshold that falls along a cosine. They follow Nagel et al., "Overcoming
Oscillations in Quantization-Aware Training", ICML 2022, where an average of fixed momentum is compared with it. Fixed
numbers fit one length of training only: in a short run the average of a single flip can pass the threshold. So here the
window of the average grows with the square root of the run, 100 steps for 10,000, the interval is a share of the run,
and whatever the threshold, a sign has to flip more than `flips_min` times in about a window.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

from ssvq.quantize.formats import require_int

STEPS_MAX = 10**9
WINDOW_MIN, WINDOW_MAX = 8, 2048
"""Steps of a derived window. A shorter one could hardly tell signs that flip often from those that flip always."""
FLIPS_LEAST = 1.25
"""Lowest `flips_min`. One flip counts at most 1, which float16 keeps to about 0.1 %."""
FLIPS_MOST = 512.0
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

    The defaults were chosen on a linear layer of 2048 signs and four codewords that AdamW learned at two learning
    rates: without freezing its relative error was 0.167 to 0.171 after 80 steps, 0.175 to 0.189 after 500 and 0.185 to
    0.186 after 2000; with the defaults 0.167 to 0.170, 0.155 to 0.161 and 0.152 to 0.154.

    Attributes:
        variant: whether signs freeze, and at which sign.
        window_scale: steps over which flips are averaged, for each square root of all steps; at least `WINDOW_MIN` and
            at most `WINDOW_MAX` steps result.
        interval_fraction: steps from one freezing to the next, as a share of all steps, in (0, 1].
        start_fraction: share of all steps before which nothing freezes, in [0, 1).
        threshold_start: flip rate above which a sign freezes first, in flips per step, in (0, 1).
        threshold_end: the same at the last step, at most threshold_start.
        flips_min: lowest threshold in flips per window, which a lower rate is raised to; at least `FLIPS_LEAST`, so
            that a single flip never freezes a sign.
        window_steps: steps of the window in place of `window_scale`, at least 2.
        freeze_interval: steps of the interval in place of `interval_fraction`; published: 500.

    Raises:
        TypeError, ValueError: an attribute breaks its rule; the text names both.
    """

    variant: FreezeVariant = FreezeVariant.MAJORITY
    window_scale: float = 1.0
    interval_fraction: float = 0.02
    start_fraction: float = 0.1
    threshold_start: float = 0.15
    threshold_end: float = 0.02
    flips_min: float = 2.0
    window_steps: int | None = None
    freeze_interval: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.variant, FreezeVariant):
            raise TypeError(f"variant must be a FreezeVariant, not {self.variant!r}")
        if _number("window_scale", self.window_scale) <= 0:
            raise ValueError(f"window_scale must be above 0, not {self.window_scale}")
        if not 0 < _number("interval_fraction", self.interval_fraction) <= 1:
            raise ValueError(f"interval_fraction must be above 0 and at most 1, not {self.interval_fraction}")
        if not 0 <= _number("start_fraction", self.start_fraction) < 1:
            raise ValueError(f"start_fraction must be at least 0 and below 1, not {self.start_fraction}")
        for name in ("threshold_start", "threshold_end"):
            if not 0 < _number(name, getattr(self, name)) < 1:
                raise ValueError(f"{name} must be above 0 and below 1 flip per step, not {getattr(self, name)}")
        if self.threshold_end > self.threshold_start:
            raise ValueError(
                f"threshold_end must be at most threshold_start, {self.threshold_start}, not {self.threshold_end}"
            )
        if not FLIPS_LEAST <= _number("flips_min", self.flips_min) <= FLIPS_MOST:
            raise ValueError(
                f"flips_min must be in {FLIPS_LEAST}..{FLIPS_MOST}, so that a single flip never freezes a sign, "
                f"not {self.flips_min}"
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
        TypeError, ValueError: `total_steps` is no positive int; the window is so short that even a sign that flips in
            every step stays below `flips_min`, or so long that the threshold is more flips than are counted well.
    """

    config: FreezeConfig
    total_steps: int

    def __post_init__(self) -> None:
        require_int("total_steps", self.total_steps, 1, STEPS_MAX)
        if self.config.flips_min >= self.window:
            raise ValueError(
                f"flips_min must be below the window of {self.window} steps, as no sign can flip more often, "
                f"not {self.config.flips_min}"
            )
        if self.config.threshold_start * self.window > FLIPS_MOST:
            raise ValueError(
                f"threshold_start must be at most {FLIPS_MOST} flips in the window of {self.window} steps, "
                f"not {self.config.threshold_start * self.window}"
            )

    @property
    def window(self) -> int:
        """Steps of the averaging window."""
        derived = round(self.config.window_scale * math.sqrt(self.total_steps))
        return self.config.window_steps or min(max(derived, WINDOW_MIN), WINDOW_MAX)

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

    def threshold(self, step: int) -> float:
        """Flip rate above which a sign freezes, in flips per step.

        `end + (start - end) * (1 + cos(pi * p)) / 2`, where p goes from 0 at `start_step` to 1 at `total_steps` and
        stays there, but at least `flips_min / window`.
        """
        start, end = self.config.threshold_start, self.config.threshold_end
        progress = (step - self.start_step) / max(1, self.total_steps - self.start_step)
        falling = end + (start - end) * (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0))) / 2
        return max(falling, self.config.flips_min / self.window)

    def threshold_flips(self, step: int) -> float:
        """The same in flips per window: `threshold(step) * window`."""
        return self.threshold(step) * self.window


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, not {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, not {value}")
    return value
