"""The commands; what they need of Keras is imported when they run."""

import sys
from pathlib import Path

import click

from superloop_core.quiet import start_tensorflow

RUN = click.argument("run", type=click.Path(path_type=Path), metavar="RUN_DIR")
SET = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a key of the config, such as loop.cells.0.units=32; may be repeated.",
)
SEED = click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Seed of the fresh sequences.")
LENGTH = "Length of the sequences, if not the one trained on; timesteps grow alike."


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="The run folder.  [default: runs/CONFIG]")
@click.option("--steps", type=int, help="Training steps, instead of the config's.")
@click.option("--seed", type=int, help="Seed, instead of the config's.")
@SET
def train(
    config: Path, out: Path | None, steps: int | None, seed: int | None, overrides: tuple[str, ...]
) -> None:
    """Train what CONFIG describes, and write a run folder."""
    given = {"train.steps": steps, "train.seed": seed}
    overrides += tuple(f"{key}={value}" for key, value in given.items() if value is not None)
    start_tensorflow()
    from superloop_plugin_lab.experiment import read_experiment
    from superloop_plugin_lab.report import report
    from superloop_plugin_lab.run_folder import RunFolder
    from superloop_plugin_lab.training import train

    experiment = read_experiment(config, overrides)
    folder = RunFolder.create(out, default=Path("runs") / _name(config))
    outcome = train(experiment, folder)
    report(experiment, folder, outcome)
    if outcome.interrupted:
        sys.exit(130)


def _name(config: Path) -> str:
    """A file's name, or its folder's where it is a run's own config.toml."""
    return config.absolute().parent.name if config.name == "config.toml" else config.stem


@click.command("eval")
@RUN
@click.option(
    "--length", "lengths", type=click.IntRange(1), multiple=True, help=f"{LENGTH}  May be repeated."
)
@click.option("--sequences", type=click.IntRange(1), default=4096, show_default=True, help="How many.")
@SEED
@SET
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for a program to read.")
def evaluate(
    run: Path,
    lengths: tuple[int, ...],
    sequences: int,
    seed: int | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Measure a trained model on fresh sequences, longer ones too."""
    start_tensorflow()
    from superloop_plugin_lab.evaluation import evaluate_run
    from superloop_plugin_lab.report import print_evaluations

    rows = evaluate_run(run, lengths, sequences=sequences, seed=seed, overrides=overrides)
    print_evaluations(rows, as_json=as_json)


@click.command()
@RUN
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="The .npz file; the .png stands beside it."
)
@click.option("--sequences", type=click.IntRange(1), default=4, show_default=True, help="How many.")
@click.option("--length", type=click.IntRange(1), help=LENGTH)
@SEED
@SET
def trace(
    run: Path, out: Path, sequences: int, length: int | None, seed: int | None, overrides: tuple[str, ...]
) -> None:
    """Save what every cell and system did on fresh sequences, as arrays and as a picture."""
    start_tensorflow()
    from superloop_plugin_lab.evaluation import trace_run

    for path in trace_run(run, out, sequences=sequences, length=length, seed=seed, overrides=overrides):
        click.echo(path)
