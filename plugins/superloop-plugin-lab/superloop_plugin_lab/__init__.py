"""The commands train, eval and trace: from a config file to a run folder, figures and pictures."""

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
        xla: whether to compile the loop with XLA; where its timesteps vary it never is.
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


@hookimpl
def superloop_config_tables():
    """``[task]`` names a task with ``use``, ``[[metrics]]`` what to tell of it, ``[train]`` how to train."""
    yield TableSpec(name="task", kind="task")
    yield TableSpec(name="metrics", kind="metric", many=True)
    yield TableSpec(name="train", config=TrainConfig)


@hookimpl
def superloop_add_commands(cli: click.Group) -> None:
    """Add train, eval and trace."""
    from superloop_plugin_lab import commands

    for command in (commands.train, commands.evaluate, commands.trace):
        cli.add_command(command)
