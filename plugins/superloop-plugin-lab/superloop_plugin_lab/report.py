"""What the commands show when they are done."""

import json
from collections.abc import Iterable

import attrs
from rich.console import Console
from rich.table import Table
from rich.text import Text

from superloop_plugin_lab.diagnosis import traced
from superloop_plugin_lab.evaluation import Evaluation
from superloop_plugin_lab.experiment import Experiment
from superloop_plugin_lab.picture import draw
from superloop_plugin_lab.run_folder import RunFolder
from superloop_plugin_lab.training import Outcome

PICTURED = 4


def report(experiment: Experiment, folder: RunFolder, outcome: Outcome) -> None:
    """Draw the picture of a run, and print its table."""
    batch = experiment.task.sample(experiment.generator("picture"), PICTURED)
    draw(experiment.task, batch, traced(experiment.layer, batch), folder.picture)
    sequences = f"on {experiment.settings.final_on:,} fresh sequences"
    steps = f"{outcome.steps:,} in {outcome.seconds:.0f} s; the best was {outcome.best_step:,}"
    rows = {
        "accuracy": f"{outcome.final.accuracy:.2%} {sequences}",
        "loss": f"{outcome.final.loss:.4g}",
        "steps": steps + ("  (interrupted)" if outcome.interrupted else ""),
        "run folder": str(folder.path),
        "picture": str(folder.picture),
    }
    console = Console(soft_wrap=True)  # a path is not to be broken or cut
    for name, value in rows.items():
        console.print(Text.assemble((f"{name:<12}", "bold"), value))


def print_evaluations(rows: Iterable[Evaluation], *, as_json: bool) -> None:
    """Print a row a length."""
    if as_json:
        flat = [attrs.asdict(row) for row in rows]
        print(json.dumps([row.pop("measured") | row for row in flat], indent=2))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("length", "timesteps", "sequences", "loss", "accuracy"):
        table.add_column(name, justify="right")
    for row in rows:
        length = "" if row.length is None else str(row.length)
        figures = (f"{row.measured.loss:.4g}", f"{row.measured.accuracy:.2%}")
        table.add_row(length, str(row.timesteps), f"{row.sequences:,}", *figures)
    Console().print(table)
