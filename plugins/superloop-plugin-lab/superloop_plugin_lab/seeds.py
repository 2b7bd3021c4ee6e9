"""Runs of one config with many seeds, one after another in this process, compiled once for all."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import click

from superloop_core import ConfigError
from superloop_core.config import load_dict
from superloop_core.errors import printable, reason
from superloop_plugin_lab.experiment import Experiment, read_experiment
from superloop_plugin_lab.grouping import differences
from superloop_plugin_lab.report import draw_picture
from superloop_plugin_lab.results import read_summary
from superloop_plugin_lab.run_folder import RunFolder
from superloop_plugin_lab.shared_model import SharedModel
from superloop_plugin_lab.training import train


@attrs.frozen(kw_only=True)
class SeedRun:
    """The end of one run.

    Args:
        seed: of the run.
        path: its folder.
        summary: its final figures and facts; None: it failed.
        error: that ended it, in words.
        interrupted: whether Ctrl-C ended it.
    """

    seed: int
    path: Path
    summary: Mapping[str, Any] | None = None
    error: str = ""
    interrupted: bool = False


def train_seeds(
    source: Path | Mapping[str, Any], overrides: Iterable[str], seeds: Sequence[int], out: Path
) -> Iterator[SeedRun]:
    """Train a run for each seed into ``out/seed-SEED``, and yield each as it ends.

    Each run equals, bit by bit, the run that its config makes alone. One that is complete is kept, and one
    that was stopped is resumed. An error ends its run only; Ctrl-C ends the run and those that follow.

    Args:
        source: a config file, or its tables.
        overrides: changes of the config, each ``KEY=VALUE``.
        seeds: one for each run.
        out: the folder of the run folders.

    Raises:
        ConfigError: the config is not valid; ``out`` is a run folder; or a folder in it holds a run of
            another config.
    """
    overrides = tuple(overrides)
    if RunFolder(out).config.exists():
        raise ConfigError(f"--out {out}: is a run folder; choose a folder for the folders of all seeds")
    first = read_experiment(source, (*overrides, f"train.seed={seeds[0]}"), to_train=True)
    paths = {seed: out / f"seed-{seed}" for seed in seeds}
    for seed, path in paths.items():
        check_config(path, first, seed)
    model = LentModel()
    for seed, path in paths.items():
        run = train_seed(model, source, overrides, seed, path)
        yield run
        if run.interrupted:
            return


class LentModel:
    """The model that the runs share, made anew where it cannot be."""

    def __init__(self) -> None:
        self._shared: SharedModel | None = None

    def read(self, *arguments: Any, **settings: Any) -> tuple[Experiment, SharedModel]:
        """Return the experiment of :func:`read_experiment`, with the shared model where that can be."""
        experiment = read_experiment(*arguments, to_train=True, **settings)
        if self._shared is not None:
            if (lent := self._shared.lend(experiment)) is not None:
                return lent, self._shared
            what = "a part of the loop draws numbers when it is made, so each seed is compiled anew"
            click.echo(f"note: {what}", err=True)
        self._shared = SharedModel(experiment)
        return experiment, self._shared

    def drop(self) -> None:
        """Make the next model anew, after an error that may have left something in this one."""
        self._shared = None


def train_seed(
    model: LentModel, source: Path | Mapping[str, Any], overrides: Sequence[str], seed: int, path: Path
) -> SeedRun:
    """Train the run of a seed, resume it where it was stopped, or read its figures where it is complete.

    Args:
        model: shared by the runs of a config.
        source: a config file, or its tables.
        overrides: changes of the config, each ``KEY=VALUE``.
        seed: of the run.
        path: its folder.
    """
    run = SeedRun(seed=seed, path=path)
    try:
        if (summary := finished(path)) is not None:
            return attrs.evolve(run, summary=summary)
        click.echo(printable(f"seed {seed}: {path}"), err=True)
        interrupted = _train_folder(model, source, (*overrides, f"train.seed={seed}"), path)
        return attrs.evolve(run, summary=read_summary(path), interrupted=interrupted)
    except Exception as error:  # a run that fails does not end the others
        model.drop()
        return attrs.evolve(run, error=printable(reason(error)))


def _train_folder(
    model: LentModel, source: Path | Mapping[str, Any], overrides: Sequence[str], path: Path
) -> bool:
    """Train a new run, or resume the one at a path; return whether Ctrl-C ended it."""
    if not RunFolder(path).config.is_file():
        folder = RunFolder.create(path, default=path)
    else:
        folder = RunFolder.find(path)
    with folder.writing():
        start = folder.read_start()
        state = folder.read_task_state() if start else None
        experiment, shared = model.read(source, overrides, task_state=state)
        outcome = train(experiment, folder, start, shared.compiled)
        draw_picture(experiment, folder)
    return outcome.interrupted


def finished(path: Path) -> dict[str, Any] | None:
    """Return the summary of a run whose files are all there and whose steps are all taken, else None."""
    if not RunFolder(path).is_complete:
        return None
    summary = read_summary(path)
    return summary if summary.get("complete") else None


def check_config(path: Path, experiment: Experiment, seed: int) -> None:
    """Check that a folder holds no run, or one of the same config and the same files of examples.

    Raises:
        ConfigError: it holds another's.
    """
    config = RunFolder(path).config
    if not config.is_file():
        return
    there, here = RunFolder(path).read_task_state(), experiment.task_state()
    if there is not None and here is not None and there.get("files") != here.get("files"):
        raise ConfigError(
            f"{path}: holds a run on other files of examples; put those back, choose another --out or delete "
            "the folder"
        )
    tables = experiment.config.to_dict()
    wanted = {**tables, "train": {**tables["train"], "seed": seed}}
    for key, (theirs, ours) in differences([load_dict(config), wanted]).items():
        what = f"holds a run with {key} = {theirs!r}, and this one has {ours!r}"
        raise ConfigError(f"{path}: {what}; choose another --out, or delete the folder")
