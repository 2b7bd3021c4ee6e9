"""A run folder's model, on fresh sequences: figures, traces and pictures."""

from collections.abc import Iterable
from pathlib import Path

import attrs
import click
import numpy as np

from superloop_core import ConfigError, WeightsError, load_model
from superloop_core.files import load_dict
from superloop_plugin_lab.diagnosis import traced
from superloop_plugin_lab.experiment import Experiment, Measurement, measure, read_experiment
from superloop_plugin_lab.picture import draw
from superloop_plugin_lab.run_folder import RunFolder


@attrs.frozen(kw_only=True)
class Evaluation:
    """Figures of one length of sequences; ``length`` is None for a task that has no such setting."""

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
    overrides: Iterable[str] = (),
) -> list[Evaluation]:
    """Measure a run's model on fresh sequences of each length, or of the length trained on.

    Raises:
        ConfigError: there is no run folder, or its task has no ``length`` to change.
        WeightsError: the overrides make another loop than the one trained.
    """
    rows = []
    for length in list(lengths) or [None]:
        experiment = open_run(run, length=length, overrides=overrides)
        rows.append(
            Evaluation(
                length=getattr(experiment.config.tables["task"].settings, "length", None),
                timesteps=_timesteps(experiment),
                sequences=sequences,
                measured=measure(experiment, _fresh(experiment, seed, "final"), sequences),
            )
        )
    return rows


def trace_run(
    run: Path,
    out: Path,
    *,
    sequences: int = 4,
    length: int | None = None,
    seed: int | None = None,
    overrides: Iterable[str] = (),
) -> tuple[Path, Path]:
    """Save every trace on fresh sequences to ``out``, and a picture beside it; return both paths.

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
        draw(experiment.task, batch, traces, picture)
    except OSError as error:
        raise ConfigError(f"--out {out}: cannot be written: {error.strerror}") from error
    return out, picture


def open_run(run: Path, *, length: int | None = None, overrides: Iterable[str] = ()) -> Experiment:
    """Return a run's experiment with its best weights, for sequences of another length if one is given.

    The number of timesteps is scaled as the length is.
    """
    folder = RunFolder.open(run)
    overrides = list(overrides)
    if length is not None:
        config = load_dict(folder.config)
        trained = config["task"].get("length")
        if trained is None:
            raise ConfigError(f"{run}: its task {config['task']['use']!r} has no setting 'length' to change")
        timesteps = -(-config["loop"]["timesteps"] * length // trained)
        overrides = [f"task.length={length}", f"loop.timesteps={timesteps}", *overrides]
    experiment = read_experiment(folder.config, overrides)
    _tell_other_versions(folder, experiment)
    weights = load_model(folder.model).get_weights()
    shapes = [weight.shape for weight in weights]
    needed = [tuple(weight.shape) for weight in experiment.model.weights]
    if shapes != needed:
        given = " ".join(f"--set {override}" for override in overrides)
        what = f"holds weights of the shapes {shapes}, but the loop needs {needed}; undo {given}"
        raise WeightsError(f"{folder.model}: {what}")
    experiment.model.set_weights(weights)
    return experiment


def _tell_other_versions(folder: RunFolder, experiment: Experiment) -> None:
    now = experiment.config.plugins
    for distribution, then in load_dict(folder.config).get("plugins", {}).items():
        if distribution in now and now[distribution] != then:
            what = (
                f"{folder.path}: was trained with {distribution} {then}, and {now[distribution]} is installed"
            )
            click.echo(f"warning: {what}; figures may differ", err=True)


def _timesteps(experiment: Experiment) -> int:
    """The config's, or where it leaves them open as many as the task's sequences have."""
    one = experiment.task.sample(np.random.default_rng(0), 1)
    return experiment.config.loop.timesteps or one.inputs["inputs"].shape[1]


def _fresh(experiment: Experiment, seed: int | None, purpose: str) -> np.random.Generator:
    if seed is not None:
        experiment = attrs.evolve(experiment, settings=attrs.evolve(experiment.settings, seed=seed))
    return experiment.generator(purpose)
