"""The sections of a training recipe that are not about data or layers.

A field with `DISPLAY` in its metadata changes what is shown and kept, not the numbers that come out; training may go on
with another value of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ssvq.quantize.formats import require_int
from ssvq.train.precision import MatmulPrecision

DISPLAY = {"display": True}
STEPS_MAX = 10**9
SEED_MAX = 2**63 - 1


def require_number(name: str, value: float, low: float, high: float = math.inf, *, open_low: bool = False) -> None:
    """Raise ValueError, with name, value and rule, unless low <= value <= high, or low < value where `open_low`."""
    if not (low < value if open_low else low <= value) or not value <= high or not math.isfinite(value):
        above = f"above {low:g}" if open_low else f"at least {low:g}"
        rule = above if high == math.inf else f"{above} and at most {high:g}"
        raise ValueError(f"{name} must be {rule}, not {value!r}")


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """[model]: what `ssvq.models.registry.load_model` makes.

    Attributes:
        name: a model of this package, `timm:NAME`, or `file:PATH.py:FUNCTION`.
        options: arguments of the model, such as `classes`.
        checkpoint: file with weights of the model's names; None takes the model as it is made.
        frozen: shell patterns for names of parameters that do not learn, such as `embeddings.*`; those of layers that
            rules compress are learned all the same.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    checkpoint: Path | None = field(default=None, metadata=DISPLAY)  # its contents count
    frozen: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """[optimizer]: AdamW, and a learning rate that rises linearly, then falls along a cosine.

    Attributes:
        learning_rate: highest learning rate of everything that has no rate of its own here: codes of uniform formats,
            and all kinds whose rate is None.
        sign_learning_rate: of latent signs.
        codebook_learning_rate: of codebooks.
        scale_learning_rate: of the weights' scales, which learn as logarithms.
        activation_learning_rate: of the activations' scales, likewise.
        uncompressed_learning_rate: of all that is not compressed: biases, norms, embeddings, layers without a rule.
        weight_decay: of uncompressed weight matrices and kernels only.
        betas, epsilon: of Adam.
        warmup: share of all steps in which the learning rate rises from 0.
        final: learning rate after the last step, as a share of the highest.
        clip_norm: largest norm of the gradient of all parameters; larger ones are scaled down. None leaves them.
    """

    learning_rate: float = 1e-3
    sign_learning_rate: float | None = None
    codebook_learning_rate: float | None = None
    scale_learning_rate: float | None = None
    activation_learning_rate: float | None = None
    uncompressed_learning_rate: float | None = None
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    warmup: float = 0.0
    final: float = 0.0
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        require_number("learning_rate", self.learning_rate, 0, open_low=True)
        for kind in ("sign", "codebook", "scale", "activation", "uncompressed"):
            rate = getattr(self, f"{kind}_learning_rate")
            if rate is not None:
                require_number(f"{kind}_learning_rate", rate, 0)
        require_number("weight_decay", self.weight_decay, 0)
        for beta in self.betas:
            if not 0 <= beta < 1:
                raise ValueError(f"betas must be at least 0 and below 1, not {beta!r}")
        require_number("epsilon", self.epsilon, 0, open_low=True)
        require_number("warmup", self.warmup, 0, 1)
        require_number("final", self.final, 0, 1)
        if self.clip_norm is not None:
            require_number("clip_norm", self.clip_norm, 0, open_low=True)


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """[training]: how long, and how often what happens besides.

    Attributes:
        epochs: passes over the training set.
        steps: steps of the optimizer in place of `epochs`; 0 is compression without training.
        seed: of the model's weights, k-means, the order of samples and their random views.
        accumulate: parts in which each process goes through its share of a batch, to save memory.
        matmul: "bfloat16" rounds the operands of matrix products while training, never in evaluation, where the
            processor has instructions for it; sums stay in float32.
        log_steps: steps from one row of the log to the next.
        evaluate_steps: steps from one evaluation to the next; None evaluates after every epoch.
        checkpoint_steps: steps from one checkpoint to the next.
    """

    epochs: int = 1
    steps: int | None = None
    seed: int = 0
    accumulate: int = 1
    matmul: MatmulPrecision = "float32"
    log_steps: int = field(default=50, metadata=DISPLAY)
    evaluate_steps: int | None = field(default=None, metadata=DISPLAY)
    checkpoint_steps: int = field(default=500, metadata=DISPLAY)

    def __post_init__(self) -> None:
        require_int("epochs", self.epochs, 1, STEPS_MAX)
        if self.steps is not None:
            require_int("steps", self.steps, 0, STEPS_MAX)
        require_int("seed", self.seed, 0, SEED_MAX)
        for name in ("accumulate", "log_steps", "checkpoint_steps"):
            require_int(name, getattr(self, name), 1, STEPS_MAX)
        if self.evaluate_steps is not None:
            require_int("evaluate_steps", self.evaluate_steps, 1, STEPS_MAX)

    def total_steps(self, steps_per_epoch: int) -> int:
        """Steps of the whole run."""
        return self.epochs * steps_per_epoch if self.steps is None else self.steps


@dataclass(frozen=True, kw_only=True)
class CalibrationSettings:
    """[calibration]: what is looked at before training.

    Attributes:
        batches: batches of training inputs, as large as those of evaluation, from which ranges of activations come.
        input_importance: let errors of weights that read strong inputs count more when codebooks are made.
    """

    batches: int = 4
    input_importance: bool = False

    def __post_init__(self) -> None:
        require_int("batches", self.batches, 1, STEPS_MAX)


@dataclass(frozen=True, kw_only=True)
class DistillationSettings:
    """[distillation]: a teacher's outputs are what the model learns. Absent: off, and the labels are.

    Attributes:
        enabled: False is as if the section were absent.
        teacher: another model; None is the model itself before it is compressed.
        weight: share of the teacher in the loss, the rest is that of the labels; images only.
        loss: "kl", the divergence of the classes' probabilities, or "mse", of outputs of any meaning; images only.
        temperature: divides the logits of "kl".
        hidden_weight: weight of the relative squared error of what the model's blocks give, mean over the blocks.
    """

    enabled: bool = True
    teacher: ModelSettings | None = None
    weight: float = 1.0
    loss: Literal["kl", "mse"] = "kl"
    temperature: float = 1.0
    hidden_weight: float = 0.0

    def __post_init__(self) -> None:
        require_number("weight", self.weight, 0, 1, open_low=True)
        require_number("temperature", self.temperature, 0, open_low=True)
        require_number("hidden_weight", self.hidden_weight, 0)


@dataclass(frozen=True, kw_only=True)
class OutputSettings:
    """[output]: what is written where.

    Attributes:
        folder: for checkpoints, logs and results; None is `build/train/` and the name of the recipe.
        tensorboard: also write logs for TensorBoard, where it is installed.
        keep: how many checkpoints are kept.
    """

    folder: Path | None = field(default=None, metadata=DISPLAY)
    tensorboard: bool = field(default=True, metadata=DISPLAY)
    keep: int = field(default=2, metadata=DISPLAY)

    def __post_init__(self) -> None:
        require_int("keep", self.keep, 1, STEPS_MAX)
