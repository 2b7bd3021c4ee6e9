"""One run, trained or resumed in its folder, alone or by many workers."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from superloop_core import ConfigError
from superloop_core.errors import printable
from superloop_plugin_lab.checkpoint import Checkpoint
from superloop_plugin_lab.distributed import ALONE, Workers, start_workers
from superloop_plugin_lab.distributed.told_folder import ToldFolder, read_start
from superloop_plugin_lab.evaluation import warn_of_other_versions
from superloop_plugin_lab.experiment import Experiment, read_experiment
from superloop_plugin_lab.report import report
from superloop_plugin_lab.results import read_summary
from superloop_plugin_lab.run_folder import RunFolder
from superloop_plugin_lab.seeds import check_config, finished
from superloop_plugin_lab.stopping import EarlyStopping
from superloop_plugin_lab.training import Outcome, train


def train_run(config: Path, overrides: Sequence[str], out: Path | None, default: Path) -> Outcome:
    """Train a new run into a folder, and print its summary.

    Args:
        config: a config file.
        overrides: changes of it, each ``KEY=VALUE``.
        out: the folder; None: ``default``, or where that exists ``default-2`` and so on.
        default: the folder without ``out``.

    Raises:
        ConfigError: the config is not valid, or the folder is taken.
        WorkersError: a worker ended, or has another config or other weights.
    """
    workers = start_workers()
    with workers.watched():
        return _train(config, overrides, out, default, workers)


def resume_run(run: Path, overrides: Sequence[str]) -> Outcome:
    """Resume the run of a folder, and print its summary.

    Args:
        run: the folder.
        overrides: changes of its config, each ``KEY=VALUE``.

    Raises:
        ConfigError: there is nothing to resume, or a change is not valid.
        RunFolderError: the folder is damaged.
        WorkersError: a worker ended, or has another config or other weights.
    """
    workers = start_workers()
    with workers.watched():
        folder = RunFolder.find(run) if workers.is_chief else ToldFolder(run)
        with folder.writing():
            experiment, checkpoint = _read_to_resume(folder, overrides, workers)
            return _go_on(experiment, folder, checkpoint, workers)


def check_run(config: Path, overrides: Sequence[str]) -> None:
    """Check what :func:`train_run` reads.

    Args:
        config: a config file.
        overrides: changes of it, each ``KEY=VALUE``.

    Raises:
        ConfigError: the config is not valid.
    """
    read_experiment(config, overrides, to_train=True)


def check_resume(run: Path, overrides: Sequence[str]) -> None:
    """Check what :func:`resume_run` reads.

    Args:
        run: the folder.
        overrides: changes of its config, each ``KEY=VALUE``.

    Raises:
        ConfigError: there is nothing to resume, or a change is not valid.
        RunFolderError: the folder is damaged, or another process writes it.
    """
    folder = RunFolder.find(run)
    with folder.writing():
        _read_to_resume(folder, overrides, ALONE)


def train_or_resume(config: Path, overrides: Sequence[str], out: Path) -> Outcome | None:
    """Train a run, or resume the one of the same config that is in the folder already.

    Args:
        config: a config file.
        overrides: changes of it, each ``KEY=VALUE``.
        out: the folder.

    Returns:
        None: the run was complete already.

    Raises:
        ConfigError: the config is not valid, or the folder holds another run.
        RunFolderError: the folder is damaged.
        WorkersError: a worker ended, or has another config or other weights.
    """
    workers = start_workers()
    with workers.watched():
        if not _tell(workers, RunFolder(out).config.is_file()):
            return _train(config, overrides, out, out, workers)
        folder = RunFolder.find(out) if workers.is_chief else ToldFolder(out)
        with folder.writing():
            start = read_start(folder, workers)
            experiment = _read(config, overrides, workers, start.task_state)
            if workers.is_chief:
                check_config(out, experiment, experiment.settings.seed)
            if _tell(workers, finished(out) is not None):
                if workers.is_chief:
                    click.echo(printable(f"{out}: the run is complete"))
                return None
            return _go_on(experiment, folder, start.checkpoint, workers)


def _train(
    config: Path, overrides: Sequence[str], out: Path | None, default: Path, workers: Workers
) -> Outcome:
    experiment = _read(config, overrides, workers)
    folder = RunFolder.create(out, default=default) if workers.is_chief else ToldFolder(out or default)
    with folder.writing():
        return _go_on(experiment, folder, None, workers)


def _read_to_resume(
    folder: RunFolder, overrides: Sequence[str], workers: Workers
) -> tuple[Experiment, Checkpoint | None]:
    """Read what a run goes on with: its experiment, and its checkpoint if it has one."""
    start = read_start(folder, workers)
    experiment = _read(start.config, overrides, workers, start.task_state)
    if workers.is_chief:
        _check_can_go_on(folder, experiment, start.checkpoint.step if start.checkpoint else 0)
    return experiment, start.checkpoint


def _go_on(experiment: Experiment, folder: RunFolder, start: Checkpoint | None, workers: Workers) -> Outcome:
    """Take the steps that are left, and print the summary."""
    if start is not None and workers.is_chief:
        warn_of_other_versions(folder, experiment)
    with workers.watched(f"start all workers again: {workers.resume_command(folder.path)}"):
        outcome = train(experiment, folder, start, workers=workers)
        if workers.is_chief:
            report(experiment, folder, outcome)
        _tell(workers, True)  # all end together
    return outcome


def _check_can_go_on(folder: RunFolder, experiment: Experiment, taken: int) -> None:
    """Check that there are steps to take.

    Raises:
        ConfigError: there are none.
    """
    wanted = experiment.settings.steps
    if taken > wanted or (taken == wanted and folder.is_complete):
        raise ConfigError(
            f"{folder.path}: has taken {taken:,} steps, and train.steps = {wanted:,}; set more with --steps"
        )
    stopping = EarlyStopping(experiment)
    if taken and folder.is_complete and read_summary(folder.path).get("stopped_early"):
        stopping.read(folder.read_metrics())
    if stopping.is_over:
        raise ConfigError(
            f"{folder.path}: stopped early at step {taken:,}: {stopping.reason}; "
            f"set more than {stopping.waited} with --set early_stopping.patience=N"
        )


def _read(
    source: Path | Mapping[str, Any],
    overrides: Sequence[str],
    workers: Workers,
    task_state: Mapping[str, Any] | None = None,
) -> Experiment:
    """Read the experiment, and check that all workers read the same."""
    experiment = read_experiment(source, overrides, to_train=True, task_state=task_state)
    content = json.dumps([experiment.config.to_dict(), experiment.task_state()], sort_keys=True, default=str)
    rule = "all workers need the same config, versions of plugins and files of examples"
    workers.check_same(content.encode(), rule)
    return experiment


def _tell(workers: Workers, fact: bool) -> bool:
    """Return a fact that the chief knows."""
    return bool(workers.from_chief(b"yes" if fact else b""))
