"""The commands train, resume, eval, predict, trace, view, compare, sweep and export, and their tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from superloop_core import TableSpec, hookimpl
from superloop_core.errors import ConfigError, Problem, SuperloopError
from superloop_core.registry import load_registry
from superloop_plugin_lab import hookspecs
from superloop_plugin_lab.callback import Callback, watcher
from superloop_plugin_lab.results import read_metrics, read_summary
from superloop_plugin_lab.settings import (
    CurriculumConfig,
    EarlyStoppingConfig,
    ModelConfig,
    SweepConfig,
    TrainConfig,
)

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    import click

    from superloop_core.config import Config, Fact

__all__ = [
    "Callback", "CurriculumConfig", "EarlyStoppingConfig", "ModelConfig", "SweepConfig", "TrainConfig",
    "read_metrics", "read_summary",
]  # fmt: skip


@hookimpl
def superloop_config_tables() -> Iterator[TableSpec]:
    """Own the tables of a config that training needs."""
    yield TableSpec(name="task", kind="task")
    yield TableSpec(name="metrics", kind="metric", many=True)
    yield TableSpec(name="model", config=ModelConfig)
    yield TableSpec(name="train", config=TrainConfig)
    yield TableSpec(name="curriculum", config=CurriculumConfig)
    yield TableSpec(name="early_stopping", config=EarlyStoppingConfig)
    yield TableSpec(name="sweep", config=SweepConfig)


@hookimpl
def superloop_complete_tables(tables: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Fill in the sizes that a loop leaves out and its task decides."""
    if "task" not in tables:
        return None
    from superloop_core import start_tensorflow

    start_tensorflow()
    from superloop_plugin_lab.sizes import complete, handed_over

    completed, made = complete(tables, load_registry())
    handed_over.set(made)
    return completed


@hookimpl
def superloop_check_config(config: Config) -> Iterator[Problem | Fact]:
    """Make the checks of train, where there is a task to train on, and say what is known of it."""
    if "task" not in config.tables:
        return
    from superloop_core import start_tensorflow

    start_tensorflow()
    from superloop_plugin_lab.experiment import facts_of, read_experiment
    from superloop_plugin_lab.sizes import handed_over

    made = handed_over.get()
    handed_over.set(None)
    try:
        yield from facts_of(read_experiment(config.to_dict(), to_train=True, made=made))
    except ConfigError as error:
        yield from error.problems
    except SuperloopError as error:
        yield Problem("", str(error))


@hookimpl
def superloop_add_commands(cli: click.Group) -> None:
    """Add train, resume, eval, predict, trace, view, compare, sweep, export and the hidden check-run."""
    from superloop_plugin_lab import commands, experiment_commands

    of_one = (
        commands.train,
        commands.resume,
        commands.check_run_command,
        commands.evaluate,
        commands.predict,
    )
    to_see = (commands.trace, commands.view_command)
    of_many = (experiment_commands.compare, experiment_commands.sweep, experiment_commands.export)
    for command in (*of_one, *to_see, *of_many):
        cli.add_command(command)


@hookimpl
def superloop_add_hookspecs() -> ModuleType:
    """Specify ``superloop_add_callbacks`` and ``superloop_check_training``."""
    return hookspecs


@hookimpl(tryfirst=True)
def superloop_add_callbacks(config: Config, folder: Path) -> Iterator[Callback]:
    """Write TensorBoard's events, and call the watcher of the run if there is one."""
    from superloop_plugin_lab.events import Events

    del config
    yield Events(folder / "tensorboard")
    if (watching := watcher.get()) is not None:
        yield watching
