"""The commands; each imports Keras only when it runs."""

import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from superloop_core import output_to_stderr, plugin_files
from superloop_core.errors import printable
from superloop_plugin_lab.grouping import figure_text, folder_name

if TYPE_CHECKING:
    from superloop_plugin_lab.training import Outcome

RUN = click.argument("run", type=click.Path(path_type=Path), metavar="RUN_DIR")
SET = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a key of the config, such as loop.cells.0.units=32.  May be repeated.",
)
SEED = click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), help="Seed of the test sequences.  [default: the run's]"
)
WEIGHTS = click.option(
    "--weights",
    type=click.Choice(["best", "last"]),
    default="best",
    show_default=True,
    help="Those of the best measurement, or of the last step.",
)
MAX_COUNT = 2**31 - 1  # TensorFlow counts in 32 bits
MAX_LENGTHS = 10_000
MAX_SEEDS = 10_000
MAX_WORKERS = 1024
COUNT = click.IntRange(1, MAX_COUNT)
LENGTH = "Length of all sequences; a fixed number of timesteps is scaled with it.  [default: as in training]"


def whole_numbers(text: str, separator: str) -> list[int]:
    """``0,3,7`` -> 0, 3, 7; -1 for a part that is no whole number from 0."""
    return [int(part) if part.isdecimal() else -1 for part in text.split(separator)]


def seed_range(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...]:
    """``0:3`` -> 0, 1, 2: a range that excludes its end, as Python's; ``0,3,7`` -> 0, 3, 7; None -> nothing.

    Raises:
        click.BadParameter: the text is no such range or list.
    """
    del context, parameter
    if text is None:
        return ()
    numbers = whole_numbers(text.replace(":", ","), ",")
    is_range = ":" in text
    if min(numbers) < 0 or max(numbers) > 2**32 or (is_range and ("," in text or len(numbers) != 2)):
        raise click.BadParameter(
            f"{text!r} must be START:STOP or a list of whole numbers from 0 to 2**32, such as 0:10 or 0,3,7"
        )
    if is_range and not 0 < numbers[1] - numbers[0] <= MAX_SEEDS:
        raise click.BadParameter(f"{text!r} must have 1 to {MAX_SEEDS:,} seeds, from START to before STOP")
    return tuple(range(*numbers)) if is_range else tuple(dict.fromkeys(numbers))


def device_list(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...]:
    """``0,2`` -> 0, 2; None -> nothing.

    Raises:
        click.BadParameter: the text is no list of different numbers.
    """
    del context, parameter
    if text is None:
        return ()
    numbers = whole_numbers(text, ",")
    if min(numbers) < 0 or len(set(numbers)) < len(numbers):
        raise click.BadParameter(f"{text!r} must be different numbers of GPUs from 0, such as 0,1")
    return tuple(numbers)


def many_workers(command: Any) -> Any:
    """Add the options ``--workers`` and ``--devices`` to a command."""
    devices = click.option(
        "--devices",
        callback=device_list,
        metavar="0,1,...",
        help="A worker for each of these GPUs of this machine.",
    )
    workers = click.option(
        "--workers",
        type=click.IntRange(1, MAX_WORKERS),
        help="Train in so many processes on this machine, each with its rows of every batch.",
    )
    return workers(devices(command))


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Run folder to create.  [default: runs/CONFIG, and the changes of it]",
)
@click.option("--steps", type=int, help="Number of training steps.  [default: the config's]")
@click.option("--seed", type=int, help="Seed.  [default: the config's]")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Take two steps, measure and save in a temporary folder, print the times, and delete it.",
)
@click.option(
    "--seeds",
    callback=seed_range,
    metavar="START:STOP",
    help="A run for each seed, into OUT/seed-N, and a table: 0:10 is 0 to 9; or a list, 0,3,7.",
)
@click.option(
    "--resume",
    "resumes",
    is_flag=True,
    help="Resume the run of CONFIG that is in OUT already, as where a scheduler starts a command again.",
)
@many_workers
@SET
def train(
    config: Path,
    out: Path | None,
    steps: int | None,
    seed: int | None,
    dry_run: bool,
    seeds: tuple[int, ...],
    resumes: bool,
    workers: int | None,
    devices: tuple[int, ...],
    overrides: tuple[str, ...],
) -> None:
    """Train the model that CONFIG describes, and write a run folder.

    Started on many machines with TF_CONFIG, or by srun, each process is one worker of the same run.

    With --seeds, a folder that holds a run folder for each seed. Run the command again after a kill: runs
    that are complete are kept, and others resumed. Exit status 1: a run failed, and the others are there.
    """
    if seeds and seed is not None:
        raise click.UsageError("--seed and --seeds exclude each other; give one of them")
    if seeds and dry_run:
        raise click.UsageError("--dry-run is for one seed; leave --seeds out")
    if resumes and (out is None or seeds or dry_run):
        raise click.UsageError("--resume needs --out, and neither --seeds, which does so too, nor --dry-run")
    if seeds or dry_run:
        _check_alone(workers, devices)
    given = {"train.steps": steps, "train.seed": seed}
    named = overrides + tuple(f"{key}={value}" for key, value in given.items() if value is not None)
    changes = named + (() if steps is None else ("train.epochs=0",))
    if not seeds and not dry_run:
        options = {"--out": out, "--steps": steps, "--seed": seed}
        given_options = [f"{name}={value}" for name, value in options.items() if value is not None]
        flags = ["--resume"] if resumes else []
        check = ["check-run", str(config), *_set(changes)]
        launch_all(["train", str(config), *given_options, *flags], overrides, workers, devices, check)
    name = folder_name(name_of(config), named)
    begin()
    if seeds:
        _train_seeds(config, changes, seeds, out or Path("runs") / f"{name}+seeds")
        return
    if dry_run:
        from superloop_plugin_lab.dry_run import print_dry_run
        from superloop_plugin_lab.experiment import read_experiment

        return print_dry_run(read_experiment(config, changes, to_train=True))
    from superloop_plugin_lab.runs import train_or_resume, train_run

    if resumes and out is not None:
        end_of(train_or_resume(config, changes, out))
    else:
        end_of(train_run(config, changes, out, default=Path("runs") / name))


def _check_alone(workers: int | None, devices: tuple[int, ...]) -> None:
    """Check that this process is the only one.

    Raises:
        click.UsageError: it is not, or is to start others.
    """
    from superloop_plugin_lab.distributed import read_cluster

    cluster = read_cluster()
    if workers is not None or devices or cluster is not None:
        told = "" if cluster is None else f", and {cluster.source} says {cluster.name(cluster.index)}"
        raise click.UsageError(f"--seeds and --dry-run are for one process{told}; leave them out")


def _train_seeds(config: Path, overrides: tuple[str, ...], seeds: tuple[int, ...], out: Path) -> None:
    from superloop_plugin_lab.report import print_seeds
    from superloop_plugin_lab.seeds import train_seeds

    runs = list(train_seeds(config, overrides, seeds, out))
    print_seeds(runs)
    if runs[-1].interrupted:
        sys.exit(130)
    if any(run.error for run in runs):
        sys.exit(1)


@click.command()
@RUN
@click.option("--steps", type=int, help="Number of training steps in all.  [default: the config's]")
@many_workers
@SET
def resume(
    run: Path,
    steps: int | None,
    workers: int | None,
    devices: tuple[int, ...],
    overrides: tuple[str, ...],
) -> None:
    """Resume a stopped run, to the same results as a run that was not stopped.

    Training resumes at the step where Ctrl-C stopped it, or else at the last measurement, or if it was killed
    before its first one at the beginning. For a run that is complete, set more steps with --steps; for one
    that stopped early, more patience with --set early_stopping.patience=N.
    """
    given_options = [] if steps is None else [f"--steps={steps}"]
    changes = overrides if steps is None else (*overrides, f"train.steps={steps}")
    check = ["check-run", "--resume", str(run), *_set(changes)]
    launch_all(["resume", str(run), *given_options], overrides, workers, devices, check)
    begin()
    from superloop_plugin_lab.runs import resume_run

    end_of(resume_run(run, changes))


@click.command("check-run", hidden=True)
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--resume", "resumes", is_flag=True, help="SOURCE is a run folder, and not a config.")
@SET
def check_run_command(source: Path, resumes: bool, overrides: tuple[str, ...]) -> None:
    """Check what train, or resume, would start with; before processes are started for it."""
    begin()
    from superloop_plugin_lab.runs import check_resume, check_run

    (check_resume if resumes else check_run)(source, overrides)


def launch_all(
    arguments: list[str],
    overrides: tuple[str, ...],
    workers: int | None,
    devices: tuple[int, ...],
    check: Sequence[str],
) -> None:
    """Run a command in other processes on this machine where it needs some, and end with its exit status.

    Args:
        arguments: the command and its arguments.
        overrides: changes of the config.
        workers: number of processes; None: one for each device.
        devices: numbers of GPUs.
        check: a command that must succeed before many processes are started.

    Raises:
        ConfigError: this process is a worker of a cluster already.
    """
    from superloop_plugin_lab.distributed import launcher

    if devices and workers not in (None, len(devices)):
        raise click.UsageError(f"--workers must be the number of --devices, {len(devices)}, or be left out")
    files = [f"-p{file}" for file in plugin_files()]
    command = [*files, *arguments, *_set(overrides)]
    if workers is not None or devices:
        sys.exit(launcher.launch(command, workers or len(devices), devices, check=[*files, *check]))
    if launcher.needs_supervision():
        sys.exit(launcher.supervise(command))


def _set(overrides: Sequence[str]) -> list[str]:
    return [f"--set={change}" for change in overrides]


def end_of(outcome: "Outcome | None") -> None:
    """End with the exit status of Ctrl-C if that ended a run."""
    if outcome is not None and outcome.interrupted:
        sys.exit(130)


def begin() -> None:
    """Start TensorFlow; Matplotlib needs no backend for a file, so a wrong name of one does no harm."""
    from superloop_core import start_tensorflow

    os.environ.pop("MPLBACKEND", None)
    start_tensorflow()


def name_of(config: Path) -> str:
    """Return the name of a config's file, or of a run's own config.toml the name of its folder."""
    return config.absolute().parent.name if config.name == "config.toml" else config.stem


def length_range(text: str) -> range:
    """``40:500:20`` -> 40, 60, ... 500: a range that includes its end.

    Raises:
        click.BadParameter: the text is not such a range.
    """
    numbers = whole_numbers(text, ":")
    if len(numbers) not in (2, 3) or min(numbers) < 1 or numbers[0] > numbers[1]:
        rule = "whole numbers from 1, START <= STOP, such as 40:500:20"
        raise click.BadParameter(f"{text!r} must be START:STOP or START:STOP:STEP of {rule}")
    lengths = range(numbers[0], numbers[1] + 1, *numbers[2:])
    if max(numbers) > MAX_COUNT or len(lengths) > MAX_LENGTHS:
        raise click.BadParameter(f"{text!r} is too many lengths; at most {MAX_LENGTHS:,}; give a larger STEP")
    return lengths


@click.command("eval")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN_DIR...")
@click.option("--length", "single", type=COUNT, multiple=True, help=f"{LENGTH}  May be repeated.")
@click.option(
    "--lengths",
    "ranges",
    type=length_range,
    multiple=True,
    metavar="START:STOP:STEP",
    help="A range of lengths: 40:500:20 is 40, 60, and so on up to 500.  May be repeated.",
)
@click.option(
    "--sequences",
    type=COUNT,
    help="Number of sequences of each length.  [default: 4096; 1024 with --lengths]",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="A metric besides the config's, such as token_accuracy.  May be repeated.",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.png",
    help="Draw accuracy against length, a line for each run, as .png, .pdf or .svg.",
)
@WEIGHTS
@SEED
@SET
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def evaluate(
    runs: tuple[Path, ...],
    single: tuple[int, ...],
    ranges: tuple[range, ...],
    sequences: int | None,
    metrics: tuple[str, ...],
    plot: Path | None,
    weights: str,
    seed: int | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Measure trained models on test sequences: newly drawn, and longer ones too.

    Each RUN_DIR is a folder that train wrote. With a length, all sequences have exactly that length; without
    one, their lengths are drawn as in training.
    """
    begin()
    from superloop_plugin_lab.evaluation import evaluate_run
    from superloop_plugin_lab.pictures.curves import check_plot, draw_curves
    from superloop_plugin_lab.progress import progress
    from superloop_plugin_lab.report import print_evaluations

    runs = tuple(dict.fromkeys(runs))
    lengths = list(dict.fromkeys((*single, *(length for lengths in ranges for length in lengths))))
    if plot is not None:
        check_plot(plot, runs)
    count = sequences or (1024 if ranges else 4096)
    rows = []
    one_document = output_to_stderr() if as_json else nullcontext()
    bar = progress("measuring", len(runs) * max(1, len(lengths)), leaves_no_trace=True)
    with one_document, bar as show:
        for run in runs:
            for row in evaluate_run(
                run,
                lengths,
                sequences=count,
                seed=seed,
                metrics=metrics,
                overrides=overrides,
                weights=weights,
            ):
                rows.append(row)
                figure = figure_text(row.headline, row.measured.figures[row.headline])
                at = "" if row.length is None else f" at length {row.length}"
                show(len(rows), f"{row.headline} {figure}{at} of {printable(str(run))}")
    print_evaluations(rows, as_json=as_json)
    if plot is not None:
        draw_curves(rows, plot)
        click.echo(printable(str(plot)), err=as_json)


@click.command()
@RUN
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.csv",
    help="The file to write, as .csv or .jsonl.  [default: CSV to the standard output]",
)
@WEIGHTS
@SET
def predict(run: Path, file: Path, output: Path | None, weights: str, overrides: tuple[str, ...]) -> None:
    """Predict on the examples of FILE with a model that was trained on files.

    FILE has the columns of the run's data; targets may be missing. A row of the output is a class, numbers in
    the units of the data, or a token, as the run's task says.
    """
    begin()
    from superloop_plugin_lab.prediction import predict_run, write_csv, write_predictions, writer_of

    if output is not None:
        writer_of(output)  # before anything is computed
    with output_to_stderr():
        predictions = predict_run(run, file, weights, overrides)
    for name, fact in predictions.facts.items():
        click.echo(printable(f"{name}: {fact}"), err=True)
    if output is None:
        write_csv(predictions.rows, sys.stdout)
    else:
        write_predictions(predictions.rows, run, file, output)
        click.echo(printable(str(output)))


@click.command()
@RUN
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="The .npz file to write; a .png is written beside it.",
)
@click.option("--sequences", type=COUNT, default=4, show_default=True, help="Number of sequences.")
@click.option("--length", type=COUNT, help=LENGTH)
@SEED
@SET
def trace(
    run: Path, out: Path, sequences: int, length: int | None, seed: int | None, overrides: tuple[str, ...]
) -> None:
    """Save the traces of every cell and system on test sequences, as arrays and as a picture."""
    begin()
    from superloop_plugin_lab.evaluation import trace_run

    arrays, picture, left_out = trace_run(
        run, out, sequences=sequences, length=length, seed=seed, overrides=overrides
    )
    click.echo(printable(f"{arrays}\n{picture}"))
    if left_out:
        click.echo(f"not drawn (too large or too many): {', '.join(left_out)}", err=True)


@click.command("view")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN_DIR [RUN_DIR]")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.html",
    help="The page to write.  [default: RUN_DIR's name in this folder, with .html]",
)
@click.option("--sequences", type=COUNT, default=4, show_default=True, help="Number of sequences.")
@click.option("--length", type=COUNT, help=LENGTH)
@click.option("--open", "opens", is_flag=True, help="Open the page in the browser.")
@click.option(
    "--live",
    is_flag=True,
    help="Serve the page of one run to this machine until Ctrl-C, with a panel that changes its memory and "
    "runs on from there.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default="one that is free", help="Of --live."
)
@SEED
@SET
def view_command(
    runs: tuple[Path, ...],
    out: Path | None,
    sequences: int,
    length: int | None,
    opens: bool,
    live: bool,
    port: int,
    seed: int | None,
    overrides: tuple[str, ...],
) -> None:
    """Write a page that shows what the memories did at each timestep, on test sequences.

    It is one HTML file, which needs no network. Two runs stand side by side, on the same sequences if they
    have the same task. A file that trace wrote may stand in the place of a RUN_DIR.
    """
    if len(runs) > 2:
        raise click.UsageError(f"one or two runs can be viewed at once: {len(runs)}")
    if live and (len(runs) > 1 or out is not None):
        raise click.UsageError("--live serves the page of one run, and writes no file: leave out --out")
    if port and not live:
        raise click.UsageError("--port is of --live")
    begin()
    from superloop_plugin_lab.viewing import live_run, view_runs

    if live:
        server = live_run(
            runs[0], sequences=sequences, length=length, seed=seed, overrides=overrides, port=port
        )
        click.echo(f"{server.url}\nserved until Ctrl-C, to this machine only")
        if opens:
            server.open()
        server.wait()
        return
    named = "-".join(dict.fromkeys(run.absolute().name.removesuffix(".npz") for run in runs))
    out = out or Path(f"{named}.html")
    page = view_runs(runs, out, sequences=sequences, length=length, seed=seed, overrides=overrides)
    click.echo(printable(str(out)))
    if opens:
        page.open(out)
