"""The commands train, resume, eval and trace, and the tables of a config that they need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

import attrs
from attrs.validators import ge, gt, le, lt

from superloop_core import LoopConfig, TableSpec, hookimpl
from superloop_core.errors import ConfigError, Problem, SuperloopError, nearest
from superloop_core.registry import load_registry
from superloop_plugin_lab import hookspecs
from superloop_plugin_lab.callback import Callback

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    import click

    from superloop_core.config import Config

OPTIMIZERS = {"adam": "Adam", "rmsprop": "RMSprop", "sgd": "SGD"}  # the names of Keras's classes

__all__ = ["Callback", "CurriculumConfig", "ModelConfig", "TrainConfig"]


def _names_an_optimizer(instance: Any, attribute: Any, value: str) -> None:
    del instance, attribute
    if value not in OPTIMIZERS and ">" not in value:
        raise ValueError(
            f"'optimizer' must be {', '.join(OPTIMIZERS)}, or a name in Keras's registry, package>Name: "
            f"{value!r}{nearest(value, OPTIMIZERS)}"
        )


@attrs.frozen(kw_only=True)
class TrainConfig:
    """Settings of training.

    Args:
        steps: training steps, one batch each.
        batch_size: sequences in a batch.
        optimizer: adam, rmsprop or sgd, or a registered class, package>Name, that is called with the learning
            rate.
        learning_rate: at the first step.
        schedule: ``cosine``: the learning rate falls to 0 at the last step; ``constant``: it stays.
        clip_norm: largest norm of all gradients together; larger ones are scaled down.
        seed: of the weights, the sequences and the dropout.
        log_every: steps between two lines of ``metrics.jsonl``.
        evaluate_every: steps between two measurements on test sequences, which decide the best weights.
        evaluate_on: number of test sequences in each of these measurements.
        final_on: number of test sequences for the final figures.
        xla: compile the loop with XLA, once for each shape of a batch.
    """

    steps: int = attrs.field(default=1500, validator=ge(1))
    batch_size: int = attrs.field(default=128, validator=ge(1))
    optimizer: str = attrs.field(default="adam", validator=_names_an_optimizer)
    learning_rate: float = attrs.field(default=3e-3, validator=[gt(0), lt(float("inf"))])
    schedule: Literal["cosine", "constant"] = "cosine"
    clip_norm: float = attrs.field(default=1.0, validator=gt(0))
    seed: int = attrs.field(default=0, validator=[ge(0), lt(2**32)])
    log_every: int = attrs.field(default=20, validator=ge(1))
    evaluate_every: int = attrs.field(default=250, validator=ge(1))
    evaluate_on: int = attrs.field(default=1024, validator=ge(1))
    final_on: int = attrs.field(default=4096, validator=ge(1))
    xla: bool = True


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


@hookimpl
def superloop_config_tables() -> Iterator[TableSpec]:
    """Own the tables ``[task]``, ``[[metrics]]``, ``[model]``, ``[train]`` and ``[curriculum]``."""
    yield TableSpec(name="task", kind="task")
    yield TableSpec(name="metrics", kind="metric", many=True)
    yield TableSpec(name="model", config=ModelConfig)
    yield TableSpec(name="train", config=TrainConfig)
    yield TableSpec(name="curriculum", config=CurriculumConfig)


@hookimpl
def superloop_complete_tables(tables: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Fill in the sizes that a loop leaves out and its task decides."""
    if "task" not in tables:
        return None
    from superloop_plugin_lab.sizes import complete

    return complete(tables, load_registry())[0]


@hookimpl
def superloop_check_config(config: Config) -> Iterator[Problem]:
    """Make the checks of train, where there is a task to train on."""
    if "task" not in config.tables:
        return
    from superloop_core import start_tensorflow

    start_tensorflow()
    from superloop_plugin_lab.experiment import read_experiment

    try:
        read_experiment(config.to_dict(), to_train=True)
    except ConfigError as error:
        yield from error.problems
    except SuperloopError as error:
        yield Problem("", str(error))


@hookimpl
def superloop_add_commands(cli: click.Group) -> None:
    """Add train, resume, eval and trace."""
    from superloop_plugin_lab import commands

    for command in (commands.train, commands.resume, commands.evaluate, commands.trace):
        cli.add_command(command)


@hookimpl
def superloop_add_hookspecs() -> ModuleType:
    """Specify ``superloop_add_callbacks``."""
    return hookspecs


@hookimpl(tryfirst=True)
def superloop_add_callbacks(config: Config, folder: Path) -> Callback:
    """Write TensorBoard's events."""
    from superloop_plugin_lab.events import Events

    del config
    return Events(folder / "tensorboard")
