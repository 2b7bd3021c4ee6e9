"""Settings: the tables of a config that the lab owns; without Keras."""

from __future__ import annotations

from typing import Any, Literal

import attrs
from attrs.validators import ge, gt, le, lt, matches_re

from superloop_core import LoopConfig
from superloop_core.errors import nearest, short_repr

OPTIMIZERS = {
    "adadelta": "Adadelta",
    "adafactor": "Adafactor",
    "adagrad": "Adagrad",
    "adam": "Adam",
    "adamax": "Adamax",
    "adamw": "AdamW",
    "ftrl": "Ftrl",
    "lamb": "Lamb",
    "lion": "Lion",
    "muon": "Muon",
    "nadam": "Nadam",
    "rmsprop": "RMSprop",
    "schedule_free_adamw": "ScheduleFreeAdamW",
    "sgd": "SGD",
}  # the names of Keras's classes
OF_TRAIN = {
    "learning_rate": "learning_rate",
    "clipnorm": "clip_norm",
    "global_clipnorm": "clip_norm",
    "clipvalue": "clip_value",
    "use_ema": "ema",
    "ema_momentum": "ema",
    "ema_overwrite_frequency": "ema",
    "gradient_accumulation_steps": "accumulate",
    "loss_scale_factor": "dtype",
}  # arguments of Keras's optimizers, and the keys of [train] in their place


def _names_an_optimizer(instance: Any, attribute: Any, value: str | dict[str, Any]) -> None:
    del instance, attribute
    name = value if isinstance(value, str) else value.get("name")
    if not isinstance(name, str):
        example = '{ name = "adamw", weight_decay = 0.01 }'
        raise ValueError(f"'optimizer' must have a name, as in {example}: {short_repr(value)}")
    if name not in OPTIMIZERS and ">" not in name:
        raise ValueError(
            f"'optimizer' must be {', '.join(OPTIMIZERS)}, or a name in Keras's registry, package>Name: "
            f"{name!r}{nearest(name, OPTIMIZERS)}"
        )
    for argument in OF_TRAIN if isinstance(value, dict) else ():
        if argument in value:
            raise ValueError(f"'optimizer' takes no {argument!r}; set train.{OF_TRAIN[argument]}")


@attrs.frozen(kw_only=True)
class TrainConfig:
    """Settings of training.

    Args:
        steps: training steps. Each updates the weights once.
        epochs: times that each stored example is trained on, in the place of ``steps``; 0: ``steps`` decides.
            The run's own config has the steps.
        batch_size: sequences in a batch.
        accumulate: batches in a step. Their gradients are averaged, so that a step needs the memory of one
            batch; it equals a step of one large batch where the task's loss is a mean over sequences.
        optimizer: one of Keras's, ``"adamw"``, or with its arguments,
            ``{ name = "adamw", weight_decay = 0.01 }``; or a registered class, package>Name, that is called
            with the learning rate and the arguments.
        learning_rate: the largest one, at the end of the warm-up.
        schedule: after the warm-up. ``cosine``, ``linear`` and ``exponential``: the learning rate falls to
            ``final_learning_rate`` at the last step; ``inverse_sqrt``: it falls with the square root of the
            step; ``constant``: it stays.
        warmup_steps: steps in which the learning rate grows linearly from 0.
        final_learning_rate: at the last step.
        clip_value: largest absolute value in a gradient; larger ones are cut, before ``clip_norm``; 0: none.
        clip_norm: largest norm of all gradients together; larger ones are scaled down; 0: none.
        ema: momentum of an exponential moving average of the weights. The averages are measured and saved,
            and training goes on with the weights themselves; 0: none.
        dtype: Keras's dtype policy. The task gets float32 with each. ``mixed_float16`` scales the loss; a
            step whose scaled gradient is not finite lowers the scale, and leaves the weights alone.
        seed: of the weights, the sequences and the dropout.
        log_every: steps between two lines of ``metrics.jsonl``.
        evaluate_every: steps between two measurements on test sequences, which decide the best weights.
        best: the figure that decides them: ``accuracy``, ``loss`` or the name of a metric; of equals the
            lower loss. Empty: the task's headline, which is the accuracy if it names none.
        best_mode: ``min`` or ``max``: which way the figure is better; empty: as is known of it.
        checkpoint_every: steps between two further checkpoints; 0: there is one at each measurement only.
        evaluate_on: number of test sequences in each of these measurements.
        final_on: number of test sequences for the final figures.
        xla: compile the loop with XLA, once for each shape of a batch.
    """

    steps: int = attrs.field(default=1500, validator=ge(1))
    epochs: int = attrs.field(default=0, validator=ge(0))
    batch_size: int = attrs.field(default=128, validator=ge(1))
    accumulate: int = attrs.field(default=1, validator=ge(1))
    optimizer: str | dict[str, Any] = attrs.field(default="adam", validator=_names_an_optimizer)
    learning_rate: float = attrs.field(default=3e-3, validator=[gt(0), lt(float("inf"))])
    schedule: Literal["cosine", "linear", "exponential", "inverse_sqrt", "constant"] = "cosine"
    warmup_steps: int = attrs.field(default=0, validator=ge(0))
    final_learning_rate: float = attrs.field(default=0.0, validator=[ge(0), lt(float("inf"))])
    clip_value: float = attrs.field(default=0.0, validator=ge(0))
    clip_norm: float = attrs.field(default=1.0, validator=ge(0))
    ema: float = attrs.field(default=0.0, validator=[ge(0), lt(1)])
    dtype: Literal["float32", "float64", "mixed_float16", "mixed_bfloat16"] = "float32"
    seed: int = attrs.field(default=0, validator=[ge(0), lt(2**32)])
    log_every: int = attrs.field(default=20, validator=ge(1))
    evaluate_every: int = attrs.field(default=250, validator=ge(1))
    best: str = ""
    best_mode: Literal["", "min", "max"] = ""
    checkpoint_every: int = attrs.field(default=0, validator=ge(0))
    evaluate_on: int = attrs.field(default=1024, validator=ge(1))
    final_on: int = attrs.field(default=4096, validator=ge(1))
    xla: bool = True

    def __attrs_post_init__(self) -> None:
        falls = self.schedule in ("cosine", "linear", "exponential")
        if self.final_learning_rate and not falls:
            raise ValueError(
                f"'final_learning_rate' needs the schedule cosine, linear or exponential: {self.schedule!r}"
            )
        if self.schedule == "exponential" and not self.final_learning_rate:
            raise ValueError("the schedule exponential needs 'final_learning_rate' > 0: 0.0")


@attrs.frozen(kw_only=True)
class CurriculumConfig:
    """Short sequences first: the longest length in training grows up to the task's ``length``.

    Test sequences have all lengths from the start. The task's ``sample`` must take ``longest``. Source: the
    naive strategy of Zaremba and Sutskever, Learning to Execute, 2014, https://arxiv.org/abs/1410.4615.

    Args:
        start: the longest length at the first step.
        steps: training steps until the longest length is the task's ``length``.
        shape: ``linear``: each step adds the same amount; ``geometric``: each step multiplies by the same
            factor.
    """

    start: int = attrs.field(default=1, validator=ge(1))
    steps: int = attrs.field(validator=ge(1))
    shape: Literal["linear", "geometric"] = "linear"

    def longest(self, step: int, length: int) -> int:
        """Return the longest length at a step, from ``start`` to the task's ``length``."""
        share = step / self.steps
        if share >= 1:
            return length
        if self.shape == "linear":
            return self.start + int((length - self.start) * share)
        return int(self.start * (length / self.start) ** share)


@attrs.frozen(kw_only=True)
class EarlyStoppingConfig:
    """End a run once a figure of the test sequences has not improved for some measurements.

    Args:
        patience: measurements without an improvement, after which the run ends, complete.
        metric: the figure: ``loss``, ``accuracy`` or the name of one of the config's metrics.
        min_delta: a smaller change is no improvement.
        mode: ``min`` or ``max``: which way the figure is better; empty: as is known of it.
    """

    patience: int = attrs.field(validator=ge(1))
    metric: str = "loss"
    min_delta: float = attrs.field(default=0.0, validator=[ge(0), lt(float("inf"))])
    mode: Literal["", "min", "max"] = ""


def _needs_an_embedding(instance: ModelConfig, attribute: Any, value: bool) -> None:
    if value and not instance.embedding:
        raise ValueError(f"{attribute.name!r} needs an embedding >= 1: {instance.embedding}")


def _is_the_only_head(instance: ModelConfig, attribute: Any, value: str) -> None:
    if value != "none" and instance.tied:
        raise ValueError(f"{attribute.name!r} must be 'none' where tied = true: {value!r}")


def _has_a_head_after_it(instance: ModelConfig, attribute: Any, value: float) -> None:
    if value and instance.head == "none" and not instance.tied:
        what = 'must be 0 where nothing comes after it; set head = "dense" or tied = true'
        raise ValueError(f"{attribute.name!r} {what}: {value}")


@attrs.frozen(kw_only=True)
class ModelConfig:
    """The model around the loop.

    Args:
        embedding: size of the learned vector of a token, which is the loop's input; 0: tokens are one-hot.
        tied: one output for each token, by the transpose of the embedding.
        head: ``dense``: a dense layer from the outputs of the last loop to those of the task.
        input_dropout: fraction of the loop's inputs to drop in training.
        output_dropout: fraction of the last loop's outputs to drop in training, before the head.
        bidirectional: run the loop over the inputs in both directions; its outputs are those of both.
        loops: further loops; the inputs of each are the outputs of the one before.
    """

    embedding: int = attrs.field(default=0, validator=[ge(0), le(2**20)])
    tied: bool = attrs.field(default=False, validator=_needs_an_embedding)
    head: Literal["none", "dense"] = attrs.field(default="none", validator=_is_the_only_head)
    input_dropout: float = attrs.field(default=0.0, validator=[ge(0), lt(1)])
    output_dropout: float = attrs.field(default=0.0, validator=[ge(0), lt(1), _has_a_head_after_it])
    bidirectional: bool = False
    loops: tuple[LoopConfig, ...] = ()


def _is_a_search(instance: Any, attribute: Any, search: dict[str, Any]) -> None:
    del instance, attribute
    if not search:
        raise ValueError("'search' must have a key, such as \"loop.cells.0.units\" = [16, 32]: {}")
    for key, values in search.items():
        given = f"'search' {key!r}: {short_repr(values)}"
        if isinstance(values, list):
            if not values or not all(isinstance(value, (bool, int, float, str)) for value in values):
                raise ValueError(f"{given} must hold numbers, strings or booleans")
        elif isinstance(values, dict):
            _check_range(given, values)
        else:
            raise ValueError(f"{given} must be a list, or a range {{ low = 1e-4, high = 1e-2, log = true }}")


def _check_range(given: str, values: dict[str, Any]) -> None:
    if unknown := values.keys() - {"low", "high", "log", "step"}:
        raise ValueError(f"{given} has {', '.join(sorted(unknown))}; a range has low, high, log and step")
    numbers = [values.get(name) for name in ("low", "high", *(["step"] if "step" in values else []))]
    if not all(type(number) in (int, float) for number in numbers) or values["low"] > values["high"]:
        raise ValueError(f"{given} must have numbers low <= high")
    log = values.get("log", False)
    if not isinstance(log, bool) or (log and (values["low"] <= 0 or "step" in values)):
        raise ValueError(f"{given}: log must be true or false, and needs low > 0 and no step")
    if "step" in values and values["step"] <= 0:
        raise ValueError(f"{given}: step must be > 0")


@attrs.frozen(kw_only=True)
class SweepConfig:
    """A search for the best settings: many trials, each a run, or a run for each of some seeds.

    Args:
        search: what is tried for each key of the config, as in ``--set``: a list, or a range
            ``{ low = 1e-4, high = 1e-2, log = true }``; with ``step`` every step-th number; of two integers:
            integers.
        trials: number of trials, on all machines together.
        seeds: runs of each trial, whose figures are averaged: ``train.seed`` and the seeds after it.
        metric: the figure: ``validation_NAME`` of the best weights, or ``test_NAME``; empty: that of
            ``train.best``, ``validation_NAME``.
        direction: ``auto``: as is known of the figure.
        sampler: ``tpe`` learns from the trials so far; ``random``; ``grid``: every combination of lists once.
        pruner: stops trials early, by the measurements of the first seed: ``median``: one that is worse than
            half of the others at the same step; ``hyperband``: by successive halving.
        storage: of Optuna: a file, ``NAME.journal``, or a URL such as ``sqlite:///sweep.db``; empty:
            ``sweep.journal`` in the folder of the sweep.
        seed: of the sampler. Trial number n tries the same whether the sweep was stopped or not.
    """

    search: dict[str, Any] = attrs.field(validator=_is_a_search)
    trials: int = attrs.field(default=20, validator=ge(1))
    seeds: int = attrs.field(default=1, validator=ge(1))
    metric: str = attrs.field(default="", validator=matches_re("|(validation|test)_.+"))
    direction: Literal["auto", "maximize", "minimize"] = "auto"
    sampler: Literal["tpe", "random", "grid"] = "tpe"
    pruner: Literal["none", "median", "hyperband"] = "none"
    storage: str = ""
    seed: int = attrs.field(default=0, validator=ge(0))

    def __attrs_post_init__(self) -> None:
        for key, values in self.search.items():
            if self.sampler == "grid" and not isinstance(values, list):
                raise ValueError(f"the sampler grid needs lists; 'search' {key!r}: {short_repr(values)}")
