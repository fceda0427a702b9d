"""[[rules]] of a training recipe: which layers are compressed, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ssvq.quantize.formats import QuantizeConfig, WeightFormat
from ssvq.quantize.rules import Rule
from ssvq.train.activations import ActivationConfig
from ssvq.train.prepare import Rounding, TrainConfig
from ssvq.train.ranges import RangeKind

ENCODER = (
    *("codebook_size", "vector_dim", "keep", "group", "scale", "clip"),
    *("iterations", "train_subvectors", "refine_rounds"),
)
"""Settings that go to the encoder as they are."""


@dataclass(frozen=True, kw_only=True)
class RuleSettings:
    """One of [[rules]]; the first whose pattern matches a layer's name decides, and all other layers stay as they are.

    Attributes:
        pattern: shell pattern for whole names, as in `blocks.*.mlp.fc?`.
        skip: leave the layers as they are.
        format: of the weights; see `ssvq.quantize.WeightFormat`.
        codebook_size, vector_dim, keep, group, scale, clip, iterations, train_subvectors, refine_rounds: as in
            `ssvq.quantize.QuantizeConfig`; None is the default there.
        alpha, learn_signs, learn_codebook, learn_scale, rounding, pad: as in `ssvq.train.prepare.TrainConfig`.
        activations: whether inputs and outputs become int8, or stay in floating point, which the core cannot run.
        activation_range, activation_symmetric, learn_activation_scale, output_gains: as in
            `ssvq.train.activations.ActivationConfig`.
    """

    pattern: str
    skip: bool = False
    format: WeightFormat | None = None
    codebook_size: int | None = None
    vector_dim: int | None = None
    keep: int | None = None
    group: int | None = None
    scale: Literal["channel", "layer"] | None = None
    clip: Literal["max", "mse"] | None = None
    iterations: int | None = None
    train_subvectors: int | None = None
    refine_rounds: int | None = None
    alpha: float = 1.0
    learn_signs: bool = True
    learn_codebook: bool = True
    learn_scale: bool = True
    rounding: Rounding = Rounding.LEARNED_STEP
    pad: bool = False
    activations: Literal["int8", "float"] = "int8"
    activation_range: RangeKind = RangeKind.MSE
    activation_symmetric: bool = False
    learn_activation_scale: bool = False
    output_gains: bool = False

    def __post_init__(self) -> None:
        if self.skip == (self.format is not None):
            raise ValueError("format must be given, or skip = true instead")
        self.rule(seed=0)

    def rule(self, *, seed: int) -> Rule[TrainConfig]:
        """The rule for `ssvq.train.prepare.prepare`.

        Args:
            seed: of k-means.

        Raises:
            TypeError, ValueError: settings do not fit the format or each other.
        """
        if self.format is None:
            return Rule(pattern=self.pattern, config=None)
        given: dict[str, Any] = {name: getattr(self, name) for name in ENCODER if getattr(self, name) is not None}
        activations = ActivationConfig(
            range=self.activation_range,
            symmetric=self.activation_symmetric,
            learn=self.learn_activation_scale,
            output_gains=self.output_gains,
        )
        config = TrainConfig(
            weights=QuantizeConfig(format=self.format, seed=seed, **given),
            activations=activations if self.activations == "int8" else None,
            alpha=self.alpha,
            learn_signs=self.learn_signs,
            learn_codebook=self.learn_codebook,
            learn_scale=self.learn_scale,
            rounding=self.rounding,
            pad=self.pad,
        )
        return Rule(pattern=self.pattern, config=config)
