"""The output of the commands: the summary of a run, and the table of an evaluation."""

import json
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from superloop_core.errors import printable
from superloop_plugin_lab.comparison import text_of
from superloop_plugin_lab.evaluation import Evaluation
from superloop_plugin_lab.experiment import Experiment
from superloop_plugin_lab.feeding import pictured_batch
from superloop_plugin_lab.figures import headline_first
from superloop_plugin_lab.grouping import figure_text, short_keys, statistics_of
from superloop_plugin_lab.pictures.curves import run_names
from superloop_plugin_lab.run_folder import RunFolder
from superloop_plugin_lab.tracing import compute_traces, draw_traces
from superloop_plugin_lab.training import Outcome

if TYPE_CHECKING:
    from superloop_plugin_lab.seeds import SeedRun
    from superloop_plugin_lab.sweeping import Sweep

PICTURED = 4  # sequences
PIPED_WIDTH = 200  # columns of a table that is not shown on a terminal, so that no name is cut


def draw_picture(experiment: Experiment, folder: RunFolder) -> list[str]:
    """Draw the picture of a run, and return the names of the traces that it leaves out.

    Args:
        experiment: with the best weights.
        folder: of the run.
    """
    batch = pictured_batch(experiment, PICTURED)
    traces = compute_traces(experiment.network, batch)
    left_out: list[str] = []

    def draw(path: Path) -> None:
        left_out.extend(draw_traces(experiment.task, batch, traces, path))

    with folder.writing():
        folder.write({folder.picture.name: draw})
    return left_out


def report(experiment: Experiment, folder: RunFolder, outcome: Outcome) -> None:
    """Draw the picture of a run, and print its summary."""
    left_out = draw_picture(experiment, folder)
    count = outcome.final.sequences
    sequences = f"on {count:,} test sequence{'s' * (count != 1)}"
    figures = outcome.final.figures
    headline, *others = headline_first(figures, experiment.settings.best)
    steps = f"{outcome.steps:,} in {outcome.seconds:.0f} s; best weights at step {outcome.best_step:,}"
    ended = "interrupted" if outcome.interrupted else outcome.stopped and f"stopped early: {outcome.stopped}"
    rows = {
        headline: f"{figure_text(headline, figures[headline])} {sequences}",
        **{name: figure_text(name, figures[name]) for name in others},
        "steps": steps + (f"  ({ended})" if ended else ""),
        "run folder": str(folder.path),
        "picture": str(folder.picture),
        **({"not drawn": ", ".join(left_out)} if left_out else {}),
    }
    console = Console(soft_wrap=True)  # a path must not be broken or cut
    width = max(map(len, rows)) + 2
    for name, value in rows.items():
        console.print(Text.assemble((f"{printable(name):<{width}}", "bold"), printable(value)))
    if outcome.best_step == 0:
        warning = (
            "the untrained network measured best, so the figures above and the saved model are of the "
            f"weights before the first step; measure those of the last: superloop eval {folder.path} "
            "--weights last"
        )
        click.echo(printable(f"warning: {warning}"), err=True)


def print_evaluations(rows: Iterable[Evaluation], *, as_json: bool) -> None:
    """Print a row for each run and length, as a table or as JSON."""
    rows = list(rows)
    if as_json:
        print(json.dumps([_flat(row) for row in rows], indent=2, allow_nan=False))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    runs = run_names(rows)
    measured = dict.fromkeys(name for row in rows for name in row.measured.figures)
    names = headline_first(measured, rows[0].headline)
    has_length = any(row.length is not None for row in rows)
    if len(runs) > 1:
        table.add_column("run")
    for name in (*(["length"] if has_length else []), "timesteps", "sequences", *names):
        table.add_column(Text(name), justify="right")
    for row in rows:
        run = (Text(printable(runs[row.run])),) if len(runs) > 1 else ()
        length = ("" if row.length is None else str(row.length),) if has_length else ()
        figures = (figure_text(name, row.measured.figures.get(name)) for name in names)
        table.add_row(*run, *length, str(row.timesteps), f"{row.sequences:,}", *figures)
    Console(width=None if sys.stdout.isatty() else PIPED_WIDTH).print(table)


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int) -> None:
    """Print a table whose first ``left`` columns are words, and the others numbers."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for index, name in enumerate(header):
        table.add_column(Text(printable(name)), justify="left" if index < left else "right")
    for row in rows:
        table.add_row(*(Text(printable(text)) for text in row))
    Console(width=None if sys.stdout.isatty() else PIPED_WIDTH).print(table)


def print_seeds(runs: Sequence["SeedRun"]) -> None:
    """Print the statistics of runs of many seeds, and below them the runs that failed."""
    done = [run.summary for run in runs if run.summary is not None and not run.interrupted]
    rows = []
    for name, found in statistics_of(done).items():
        numbers = (found.mean, found.deviation, found.median, found.best, found.worst)
        rows.append([name, str(found.count), *(figure_text(name, number) for number in numbers)])
    print_table(["figure", "runs", "mean", "deviation", "median", "best", "worst"], rows, left=1)
    console = Console(soft_wrap=True)
    for run in runs:
        if run.error:
            console.print(Text(printable(f"failed: seed {run.seed}: {run.error}")))
    failed = sum(bool(run.error) for run in runs)
    console.print(
        Text(f"{len(done)} of {len(runs)} runs complete" + (f", {failed} failed" if failed else ""))
    )


def print_trials(sweep: "Sweep") -> None:
    """Print the trials of a sweep, the best first, and why others failed."""
    trials = sweep.study.get_trials(deepcopy=False)
    high = sweep.study.direction.name == "MAXIMIZE"
    keys = list(short_keys(sweep.settings.search).items())

    def merit(trial: Any) -> float:
        if trial.state.name != "COMPLETE":
            return math.inf
        return float(-trial.value if high else trial.value)

    rows = []
    for trial in sorted(trials, key=merit):
        settings = [text_of(trial.params.get(key, "")) for key, _ in keys]
        value = figure_text(sweep.settings.metric, trial.value) if trial.state.name == "COMPLETE" else ""
        rows.append([str(trial.number), *settings, trial.state.name.lower(), value])
    header = ["trial", *(short for _, short in keys), "state", sweep.settings.metric]
    print_table(header, rows, left=len(header) - 1)
    console = Console(soft_wrap=True)
    for trial in trials:
        if (error := trial.user_attrs.get("superloop_error")) is not None:
            console.print(Text(printable(f"failed: trial {trial.number}: {error}")))


def _flat(row: Evaluation) -> dict[str, Any]:
    own = {"run": str(row.run), "length": row.length, "trained": row.trained}
    figures = {name: value if math.isfinite(value) else None for name, value in row.measured.figures.items()}
    return own | {"timesteps": row.timesteps, "sequences": row.sequences} | figures
