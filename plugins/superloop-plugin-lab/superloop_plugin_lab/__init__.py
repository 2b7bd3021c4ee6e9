"""The commands train, resume, eval and trace: from a config file to a run folder, figures and pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs
from attrs.validators import ge, gt, lt

from superloop_core import TableSpec, hookimpl

if TYPE_CHECKING:
    import click


@attrs.frozen(kw_only=True)
class TrainConfig:
    """How to train.

    Args:
        steps: training steps, of one batch each.
        batch_size: sequences in a batch.
        optimizer: which of Keras's optimizers.
        learning_rate: where it starts.
        schedule: ``cosine`` lets the learning rate fall to 0 at the last step; ``constant`` does not.
        clip_norm: the largest norm of all gradients together; a larger one is scaled down.
        seed: of the weights, the sequences and the dropout.
        log_every: steps between two lines of ``metrics.jsonl``.
        evaluate_every: steps between two measurements on fresh sequences, which tell the best weights.
        evaluate_on: how many fresh sequences that takes; the last one takes ``final_on``.
        final_on: how many fresh sequences the final figures are measured on.
        xla: whether to compile the loop with XLA, once for each shape of a batch.
    """

    steps: int = attrs.field(default=1500, validator=ge(1))
    batch_size: int = attrs.field(default=128, validator=ge(1))
    optimizer: Literal["adam", "rmsprop", "sgd"] = "adam"
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
    """Short sequences first: the longest length that is drawn grows up to the task's ``length``.

    It is for training; what is measured on fresh sequences is of all lengths from the start. The task's
    ``sample`` must take ``longest``. Source: Zaremba and Sutskever, Learning to Execute, 2014,
    https://arxiv.org/abs/1410.4615, whose naive strategy it is.

    Args:
        start: the longest length at first.
        steps: training steps until it is the task's ``length``.
        shape: how it grows: ``linear``, by as much in each step; ``geometric``, by the same factor.
    """

    start: int = attrs.field(default=1, validator=ge(1))
    steps: int = attrs.field(validator=ge(1))
    shape: Literal["linear", "geometric"] = "linear"

    def longest(self, step: int, length: int) -> int:
        """The longest length in a step, where the task's is ``length``: from ``start`` to ``length``."""
        share = step / self.steps
        if share >= 1:
            return length
        if self.shape == "linear":
            return self.start + int((length - self.start) * share)
        return int(self.start * (length / self.start) ** share)


@hookimpl
def superloop_config_tables():
    """``[task]`` names a task with ``use``, ``[[metrics]]`` what to tell of it, ``[train]`` how to train.

    ``[curriculum]`` says how lengths grow.
    """
    yield TableSpec(name="task", kind="task")
    yield TableSpec(name="metrics", kind="metric", many=True)
    yield TableSpec(name="train", config=TrainConfig)
    yield TableSpec(name="curriculum", config=CurriculumConfig)


@hookimpl
def superloop_add_commands(cli: click.Group) -> None:
    """Add train, resume, eval and trace."""
    from superloop_plugin_lab import commands

    for command in (commands.train, commands.resume, commands.evaluate, commands.trace):
        cli.add_command(command)
