"""A sweep: trials of settings that Optuna chooses, each a run folder or a folder of them."""

from __future__ import annotations

import itertools
import json
import math
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import click
import numpy as np

from superloop_core import ConfigError, RunFolderError
from superloop_core.config import apply_overrides, load_dict, read_table
from superloop_core.errors import Problem, message, os_reason, printable, reason
from superloop_core.registry import load_registry
from superloop_core.runs import locked
from superloop_plugin_lab.callback import Callback, watcher
from superloop_plugin_lab.comparison import read_curve, text_of
from superloop_plugin_lab.experiment import Experiment, read_experiment
from superloop_plugin_lab.figures import directions, sign_of_best
from superloop_plugin_lab.grouping import differences
from superloop_plugin_lab.seeds import LentModel, SeedRun, train_seed, train_seeds
from superloop_plugin_lab.settings import SweepConfig

try:
    import optuna
    from optuna.storages.journal import JournalFileBackend
except ImportError as error:
    raise ConfigError("sweep needs Optuna: pip install superloop-plugin-lab[sweep]") from error

LOCKS = ".locks"  # a folder for each trial, which the process that runs it holds
CONFIG = "superloop_config"  # names of attributes of a study and its trials
ERROR = "superloop_error"
Trial: TypeAlias = Any  # FrozenTrial of Optuna, which need not be installed where types are checked
State = optuna.trial.TrialState


class Pruned(KeyboardInterrupt):
    """The pruner ended a trial; a run ends at once, as by Ctrl-C, and is not complete."""


@attrs.define(eq=False)
class Sweep:
    """The trials of a config with a table ``[sweep]``, in a folder.

    Args:
        tables: the config without ``[sweep]``.
        settings: the table ``[sweep]``.
        out: the folder of the trials.
        study: Optuna's.
    """

    tables: Mapping[str, Any]
    settings: SweepConfig
    out: Path
    study: optuna.Study
    interrupted: bool = False

    @classmethod
    def open(cls, source: Path | Mapping[str, Any], overrides: Sequence[str], out: Path) -> Sweep:
        """Begin a sweep, or go on with the one that the storage holds.

        Args:
            source: a config file, or its tables.
            overrides: changes of the config, each ``KEY=VALUE``.
            out: the folder of the trials; its name is that of the study in the storage.

        Raises:
            ConfigError: the config is not valid; a key of the search is none of it; the storage cannot be
                opened, or holds the sweep of another config.
        """
        tables = apply_overrides(load_dict(source), overrides)
        if "sweep" not in tables:
            raise ConfigError(
                "the table [sweep] is missing; add one with the keys to try: "
                'search = { "train.learning_rate" = { low = 1e-4, high = 1e-2, log = true } }'
            )
        settings = read_table("sweep", tables.pop("sweep"), load_registry())
        first = {
            key: values[0] if isinstance(values, list) else values["low"]
            for key, values in settings.search.items()
        }
        try:
            experiment = read_experiment(tables, _as_overrides(first), to_train=True)
        except ConfigError as error:
            read_experiment(tables, to_train=True)  # raises what is wrong without the search
            problems = [Problem("sweep.search", str(problem)) for problem in error.problems]
            raise ConfigError(problems) from error
        metric = settings.metric or f"validation_{experiment.settings.best}"
        settings = attrs.evolve(settings, metric=metric)
        known = directions(experiment.metrics)
        if (name := metric.partition("_")[2]) not in known:
            what = f"'metric' must be validation_NAME or test_NAME, with NAME one of {', '.join(known)}"
            raise ConfigError([Problem("sweep", f"{what}: {metric!r}")])
        direction = settings.direction
        if direction == "auto":
            is_best = name == experiment.settings.best
            high = sign_of_best(experiment.settings, experiment.metrics) > 0 if is_best else known[name]
            if high is None:
                what = f"the metric {name!r} does not say which way is better; set 'direction'"
                raise ConfigError([Problem("sweep", f"{what} to maximize or minimize")])
            direction = "maximize" if high else "minimize"
        try:
            (out / LOCKS).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"--out {out}: cannot be created: {os_reason(error)}") from error
        study = _open_study(settings, direction, out)
        sweep = cls(tables, settings, out, study)
        sweep._check_config(experiment)
        return sweep

    @property
    def trials(self) -> int:
        """The number of trials; a grid has no more than combinations."""
        count = self.settings.trials
        return min(count, len(_grid(self.settings))) if self.settings.sampler == "grid" else count

    def run(self) -> Iterator[Trial]:
        """Run the trials that are left, and yield each as it ends.

        Trials that were stopped come first: their runs are resumed. One that another process runs is left
        alone.
        """
        for number in self._stopped():
            yield from self._claim(number)
        while not self.interrupted and len(self.study.get_trials(deepcopy=False)) < self.trials:
            self.study.sampler = (
                optuna.samplers.RandomSampler()
            )  # what it draws is drawn again, by the number
            number = self.study.ask().number
            if number >= self.trials:  # another machine was faster
                self.study.tell(number, state=State.FAIL)
                return
            yield from self._claim(number)

    def folder(self, number: int) -> Path:
        """Return the folder of a trial."""
        return self.out / f"trial-{number}"

    def _stopped(self) -> list[int]:
        """Return the numbers of the trials that were begun in this folder and have not ended."""
        shared = not self.settings.storage
        return [
            trial.number
            for trial in self.study.get_trials(deepcopy=False)
            if trial.state == State.RUNNING and (shared or self._lock(trial.number).is_dir())
        ]

    def _lock(self, number: int) -> Path:
        return self.out / LOCKS / f"trial-{number}"

    def _claim(self, number: int) -> Iterator[Trial]:
        """Run a trial that no other process runs."""
        if self.interrupted:
            return
        self._lock(number).mkdir(exist_ok=True)
        try:
            with locked(self._lock(number)):
                if self._frozen(number).state == State.RUNNING:
                    self._run_trial(number)
                    if not self.interrupted:
                        yield self._frozen(number)
        except RunFolderError as error:
            click.echo(printable(f"trial {number} is left alone: {error}"), err=True)

    def _frozen(self, number: int) -> Trial:
        return self.study.get_trials(deepcopy=False)[number]

    def _run_trial(self, number: int) -> None:
        """Run a trial, and tell Optuna how it ended."""
        self.study.sampler = _sampler(self.settings, number)
        trial = optuna.trial.Trial(self.study, self._frozen(number)._trial_id)
        chosen = {key: _suggest(trial, key, values) for key, values in self.settings.search.items()}
        click.echo(printable(f"trial {number}: {_words(chosen)}"), err=True)
        try:
            runs = self._train(trial, _as_overrides(chosen))
        except Pruned:
            self.study.tell(number, state=State.PRUNED)
            return
        except ConfigError as error:  # these settings do not fit together
            runs, errors = [], [printable(reason(error))]
        else:
            errors = [run.error for run in runs if run.error]
        if any(run.interrupted for run in runs):
            self.interrupted = True
            return
        values = [self._value(run) for run in runs if not run.error]
        if errors or not all(map(math.isfinite, values)):
            trial.set_user_attr(ERROR, errors[0] if errors else f"{self.settings.metric} is not finite")
            self.study.tell(number, state=State.FAIL)
            return
        self.study.tell(number, statistics.fmean(values))

    def _train(self, trial: optuna.Trial, overrides: list[str]) -> list[SeedRun]:
        """Train the runs of a trial; the pruner watches the first one."""
        path = self.folder(trial.number)
        first = self.tables.get("train", {}).get("seed", 0)
        seeds = range(first, first + self.settings.seeds)
        with _watched_by(_Watcher(self, trial)):
            if len(seeds) == 1:
                return [train_seed(LentModel(), self.tables, overrides, first, path)]
            runs = train_seeds(self.tables, overrides, seeds, path)
            done = [next(runs)]
        return [*done, *runs]

    def _value(self, run: SeedRun) -> float:
        """Return the figure of a run, NaN where it is not finite."""
        name, summary = self.settings.metric, run.summary or {}
        if name.startswith("validation_"):
            return read_curve(run.path, name).get(summary["best_step"], math.nan)
        return math.nan if summary[name] is None else float(summary[name])

    def _check_config(self, experiment: Experiment) -> None:
        """Check that the study is that of this config and its files of examples, and note them in a new one.

        Raises:
            ConfigError: it is another's.
        """
        own = {"trials", "storage"}  # may change from one command to the next
        table = {key: value for key, value in attrs.asdict(self.settings).items() if key not in own}
        wanted = json.loads(json.dumps({"config": self.tables, "settings": table}, default=str))
        if (state := experiment.task_state()) is not None:
            wanted["files"] = sorted(state.get("files", {}).values())
        there = self.study.user_attrs.get(CONFIG)
        if there is None:
            self.study.set_user_attr(CONFIG, wanted)
            return
        for key, (old, new) in differences([there, wanted]).items():
            if key == "files":
                what = "holds a sweep on other files of examples; put those back, or choose another --out"
                raise ConfigError(f"{self.out}: {what}")
            name = key.removeprefix("config.").replace("settings.", "sweep.", 1)
            what = f"holds a sweep with {name} = {old!r}, and this one has {new!r}"
            raise ConfigError(f"{self.out}: {what}; choose another --out")


class _Watcher(Callback):
    """Reports a run's measurements to Optuna, and ends a trial that the pruner gives up."""

    def __init__(self, sweep: Sweep, trial: optuna.Trial):
        self._trial = trial
        self._name = re.sub("^test_", "validation_", sweep.settings.metric)
        self._reported = set(sweep._frozen(trial.number).intermediate_values)  # before a resume

    def evaluation(self, step: int, figures: Mapping[str, float]) -> None:
        """Report the figure of a measurement, but not of the untrained model."""
        value = figures.get(self._name)
        if value is None or not math.isfinite(value) or step == 0:
            return
        if step not in self._reported:
            self._trial.report(value, step)
        if self._trial.should_prune():
            raise Pruned


@contextmanager
def _watched_by(callback: Callback) -> Iterator[None]:
    token = watcher.set(callback)
    try:
        yield
    finally:
        watcher.reset(token)


def _open_study(settings: SweepConfig, direction: str, out: Path) -> optuna.Study:
    """Open the study in its storage.

    Raises:
        ConfigError: it cannot be opened.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    place = settings.storage or str(out / "sweep.journal")
    try:
        storage = place if "://" in place else optuna.storages.JournalStorage(JournalFileBackend(place))
        return optuna.create_study(
            storage=storage,
            study_name=out.resolve().name,
            direction=direction,
            pruner=_pruner(settings),
            load_if_exists=True,
        )
    except Exception as error:  # each storage raises its own
        raise ConfigError(
            [Problem("sweep", f"'storage' {place!r} cannot be opened: {message(error)}; name another")]
        ) from error


def _pruner(settings: SweepConfig) -> optuna.pruners.BasePruner:
    if settings.pruner == "median":
        return optuna.pruners.MedianPruner()
    if settings.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner()
    return optuna.pruners.NopPruner()


def _sampler(settings: SweepConfig, number: int) -> optuna.samplers.BaseSampler:
    """Return the sampler of one trial, which its number seeds."""
    seed = int(np.random.SeedSequence([settings.seed, number]).generate_state(1)[0])
    if settings.sampler == "tpe":
        return optuna.samplers.TPESampler(seed=seed)
    if settings.sampler == "grid":
        return _Point(_grid(settings)[number])
    return optuna.samplers.RandomSampler(seed=seed)


class _Point(optuna.samplers.RandomSampler):  # type: ignore[misc]
    """Chooses the given values."""

    def __init__(self, values: Mapping[str, Any]):
        super().__init__()
        self._values = values

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
        """Return the value of a key."""
        del study, trial, param_distribution
        return self._values[param_name]


def _grid(settings: SweepConfig) -> list[dict[str, Any]]:
    """Return every combination of the lists; the last key changes first."""
    return [
        dict(zip(settings.search, values, strict=True))
        for values in itertools.product(*settings.search.values())
    ]


def _suggest(trial: optuna.Trial, key: str, values: Any) -> Any:
    """Return what the sampler chooses for a key."""
    if isinstance(values, list):
        return trial.suggest_categorical(key, values)
    low, high, step, log = values["low"], values["high"], values.get("step"), values.get("log", False)
    if all(isinstance(number, int) for number in (low, high, step or 1)):
        return trial.suggest_int(key, low, high, step=step or 1, log=log)
    return trial.suggest_float(key, low, high, step=step, log=log)


def _as_overrides(chosen: Mapping[str, Any]) -> list[str]:
    return [f"{key}={json.dumps(value)}" for key, value in chosen.items()]


def _words(chosen: Mapping[str, Any]) -> str:
    return "  ".join(f"{key}={text_of(value)}" for key, value in chosen.items())
