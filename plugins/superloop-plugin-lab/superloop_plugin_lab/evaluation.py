"""A run folder's model, on fresh sequences: figures, traces and pictures."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import click
import numpy as np

from superloop_core import ConfigError, WeightsError, load_model
from superloop_core.config import load_dict
from superloop_plugin_lab.diagnosis import traced
from superloop_plugin_lab.experiment import Experiment, Measurement, measure, read_experiment
from superloop_plugin_lab.picture import draw, slot_names
from superloop_plugin_lab.run_folder import RunFolder


@attrs.frozen(kw_only=True)
class Evaluation:
    """Figures of a run on sequences of one length.

    Args:
        run: its folder.
        trained: the shortest and the longest length that it was trained on; None for a task that has no
            setting ``length``.
        length: what was measured, None for such a task. Sequences are of exactly this length if it was
            asked for, and as in training if not.
    """

    run: Path
    trained: tuple[int, int] | None
    length: int | None
    timesteps: int
    sequences: int
    measured: Measurement


def evaluate_run(
    run: Path,
    lengths: Iterable[int] = (),
    *,
    sequences: int = 4096,
    seed: int | None = None,
    metrics: Iterable[str] = (),
    overrides: Iterable[str] = (),
) -> Iterator[Evaluation]:
    """Measure a run's model on fresh sequences of exactly each length, or on such as it was trained on.

    Args:
        run: its folder.
        lengths: of the sequences.
        sequences: how many, of each length.
        seed: of the sequences; None: the run's.
        metrics: names of metrics to measure besides those that its config names.
        overrides: changes of its config.

    Raises:
        ConfigError: there is no run folder, or its task has no ``length`` to change.
        WeightsError: the overrides make another loop than the one trained.
    """
    trained = _Trained.of(run)
    for index, length in enumerate(list(lengths) or [None]):
        experiment = trained.experiment(length, metrics, overrides, tell=index == 0)
        yield Evaluation(
            run=run,
            trained=trained.lengths,
            length=getattr(experiment.config.tables["task"].settings, "length", None),
            timesteps=experiment.timesteps,
            sequences=sequences,
            measured=measure(experiment, _fresh(experiment, seed, "final"), sequences),
        )


def trace_run(
    run: Path,
    out: Path,
    *,
    sequences: int = 4,
    length: int | None = None,
    seed: int | None = None,
    overrides: Iterable[str] = (),
) -> tuple[Path, Path, list[str]]:
    """Save every trace on fresh sequences to ``out``, and a picture beside it.

    Return both paths, and the traces that have slots and are not drawn, too large or too many.

    The ``.npz`` file holds each trace by its name, ``(sequences, timesteps, ...)``, and the task's
    ``inputs.<name>`` and ``targets``.
    """
    out = out if out.suffix == ".npz" else Path(f"{out}.npz")
    picture = out.with_suffix(".png")
    if picture.resolve() == RunFolder.open(run).picture.resolve():
        raise ConfigError(
            f"--out {out}: its picture would replace the run's own, {picture}; choose another name"
        )
    experiment = open_run(run, length=length, overrides=overrides)
    batch = experiment.task.sample(_fresh(experiment, seed, "picture"), sequences)
    traces = traced(experiment.layer, batch)
    inputs = {f"inputs.{name}": array for name, array in batch.inputs.items()}
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(out, targets=batch.targets, **inputs, **traces)
        not_drawn = draw(experiment.task, batch, traces, picture, slot_names(experiment.layer))
    except OSError as error:
        raise ConfigError(f"--out {out}: cannot be written: {error.strerror}") from error
    return out, picture, not_drawn


def open_run(run: Path, *, length: int | None = None, overrides: Iterable[str] = ()) -> Experiment:
    """Return a run's experiment with its best weights, for sequences of exactly one length if it is given.

    A number of timesteps that the config sets is scaled as the length is.
    """
    return _Trained.of(run).experiment(length, overrides=overrides)


@attrs.frozen
class _Trained:
    """What a run folder holds: its config, and its best weights."""

    folder: RunFolder
    config: dict[str, Any]
    weights: Sequence[np.ndarray]

    @classmethod
    def of(cls, run: Path) -> "_Trained":
        folder = RunFolder.open(run)
        return cls(folder, load_dict(folder.config), load_model(folder.model).get_weights())

    @property
    def lengths(self) -> tuple[int, int] | None:
        """The shortest and the longest trained on."""
        task = self.config["task"]
        return (task.get("min_length", task["length"]), task["length"]) if "length" in task else None

    def experiment(
        self,
        length: int | None = None,
        metrics: Iterable[str] = (),
        overrides: Iterable[str] = (),
        *,
        tell: bool = True,
    ) -> Experiment:
        """Make the experiment; ``tell`` of plugins that are not those trained with."""
        changes = [*self._at_length(length), *overrides]
        experiment = read_experiment(self._with_metrics(metrics), changes)
        if tell:
            tell_other_versions(self.folder, experiment)
        shapes = [weight.shape for weight in self.weights]
        needed = [tuple(weight.shape) for weight in experiment.model.weights]
        if shapes != needed:
            given = " ".join(f"--set {override}" for override in changes)
            what = f"holds weights of the shapes {shapes}, but the loop needs {needed}; undo {given}"
            raise WeightsError(f"{self.folder.model}: {what}")
        experiment.model.set_weights(self.weights)
        return experiment

    def _at_length(self, length: int | None) -> Iterator[str]:
        """What to override in the config so that sequences are of one length."""
        if length is None:
            return
        task = self.config["task"]
        if self.lengths is None:
            raise ConfigError(
                f"{self.folder.path}: its task {task['use']!r} has no setting 'length' to change"
            )
        yield f"task.length={length}"
        if "min_length" in task:
            yield f"task.min_length={length}"
        yield f"loop.timesteps={-(-self.config['loop']['timesteps'] * length // task['length'])}"

    def _with_metrics(self, names: Iterable[str]) -> dict[str, Any]:
        """The config with each metric that it does not name yet, and without what is for training only."""
        metrics = list(self.config.get("metrics", ()))
        named = {_short(metric["use"]) for metric in metrics}
        metrics += [{"use": name} for name in dict.fromkeys(names) if _short(name) not in named]
        config = {name: table for name, table in self.config.items() if name != "curriculum"}
        return config | ({"metrics": metrics} if metrics else {})


def _short(name: str) -> str:
    """``superloop-plugin-tasks:token_accuracy`` -> ``token_accuracy``."""
    return name.rpartition(":")[2]


def tell_other_versions(folder: RunFolder, experiment: Experiment) -> None:
    """Warn of every plugin in use that is of another version than the run was trained with."""
    now = experiment.config.plugins
    for distribution, then in load_dict(folder.config).get("plugins", {}).items():
        if distribution in now and now[distribution] != then:
            what = (
                f"{folder.path}: was trained with {distribution} {then}, and {now[distribution]} is installed"
            )
            click.echo(f"warning: {what}; figures may differ", err=True)


def _fresh(experiment: Experiment, seed: int | None, purpose: str) -> np.random.Generator:
    if seed is not None:
        experiment = attrs.evolve(experiment, settings=attrs.evolve(experiment.settings, seed=seed))
    return experiment.generator(purpose)
