"""The commands about many runs; each imports Keras only when it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from superloop_core import output_to_stderr
from superloop_core.errors import printable
from superloop_plugin_lab.commands import COUNT, LENGTH, RUN, SET, begin, length_range, name_of
from superloop_plugin_lab.grouping import folder_name

if TYPE_CHECKING:
    from superloop_plugin_lab.pictures.bands import Band

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("--csv", "form", flag_value="csv", help="Print CSV, with every statistic.")
@click.option("--json", "form", flag_value="json", help="Print JSON, with every statistic.")
@click.option("--latex", "form", flag_value="latex", help="Print a table for LaTeX, with booktabs.")
@click.option(
    "--curves",
    type=FILE,
    metavar="FILE.png",
    help="Draw a figure against training steps, as .png, .pdf or .svg.",
)
@click.option(
    "--metric",
    metavar="NAME",
    help="The figure of --curves: a name in metrics.jsonl.  [default: validation_NAME of train.best]",
)
@click.option("--plot", type=FILE, metavar="FILE.png", help="Draw accuracy against the lengths of --lengths.")
@click.option(
    "--lengths",
    type=length_range,
    metavar="START:STOP:STEP",
    help="The lengths of --plot: 40:500:20 is 40, 60, and so on up to 500.",
)
@click.option(
    "--sequences", type=COUNT, default=1024, show_default=True, help="Number of sequences of each length."
)
@click.option(
    "--band",
    type=click.Choice(["deviation", "quantiles"]),
    default="deviation",
    show_default=True,
    help="In pictures: mean and standard deviation, or median and the half of the runs around it.",
)
def compare(
    runs: tuple[Path, ...],
    form: str | None,
    curves: Path | None,
    metric: str | None,
    plot: Path | None,
    lengths: range | None,
    sequences: int,
    band: Band,
) -> None:
    """Compare runs, grouped over seeds, by what differs in their configs.

    Each RUN is a run folder, or a folder that holds some, such as those of train --seeds and of sweep. The
    figures are the mean and the standard deviation (n - 1) over the runs of a group that are complete.
    """
    if (plot is None) != (lengths is None):
        raise click.UsageError("--plot and --lengths need each other; give both or none")
    begin()
    from superloop_plugin_lab import comparison
    from superloop_plugin_lab.evaluation import evaluate_run
    from superloop_plugin_lab.pictures.bands import draw_bands
    from superloop_plugin_lab.pictures.curves import check_picture, check_plot
    from superloop_plugin_lab.progress import progress
    from superloop_plugin_lab.report import print_table

    groups = comparison.group_runs(comparison.find_runs(runs))
    named = dict(zip(comparison.group_names(groups), groups, strict=True))
    if curves is not None:
        check_picture(curves, "--curves")
        metric = metric or f"validation_{groups[0].headline}"
        learning = {
            name: [curve for run in group.runs if (curve := comparison.read_curve(run, metric))]
            for name, group in named.items()
        }
    if plot is not None:
        complete = {
            name: [run for run, summary in group.runs.items() if summary is not None]
            for name, group in named.items()
        }
        check_plot(plot, [run for of_group in complete.values() for run in of_group])
    of_all = sum(len(group.runs) for group in groups)
    if left_out := of_all - sum(group.complete for group in groups):
        why = "are not complete (pruned, stopped or still training); their figures are left out"
        click.echo(f"note: {left_out} of {of_all} runs {why}", err=True)
    if repeated := sum(group.repeated for group in groups):
        what = "have the config and the seed of another one, so the deviation says less than it seems to"
        click.echo(f"note: {repeated} of {of_all} runs {what}", err=True)
    if form is None or form == "latex":
        table = comparison.table_of(groups)
        print_table(*table) if form is None else click.echo(comparison.as_latex(*table))
    else:
        click.echo(comparison.as_json(groups) if form == "json" else comparison.as_csv(groups))
    if curves is not None and metric is not None:
        draw_bands(learning, curves, option="--curves", figure_name=metric, axis="training step", band=band)
        click.echo(printable(str(curves)), err=form is not None)
    if plot is not None and lengths is not None:
        measured: dict[str, list[dict[int, float]]] = {}
        trained: dict[str, tuple[int, int] | None] = {}
        count = sum(map(len, complete.values()))
        with output_to_stderr(), progress("measuring", count, leaves_no_trace=True) as show:
            for name, of_group in complete.items():
                for run in of_group:
                    rows = list(evaluate_run(run, lengths, sequences=sequences))
                    accuracy = {row.length: row.measured.accuracy for row in rows if row.length}
                    measured.setdefault(name, []).append(accuracy)
                    trained[name] = rows[0].trained
                    show(sum(map(len, measured.values())), printable(str(run)))
        draw_bands(
            measured,
            plot,
            option="--plot",
            figure_name="sequence accuracy",
            axis="length",
            band=band,
            trained=trained,
        )
        click.echo(printable(str(plot)), err=form is not None)


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder of the trials.  [default: runs/CONFIG+sweep, and the changes of the config]",
)
@click.option("--trials", type=COUNT, help="Number of trials in all.  [default: the config's]")
@SET
def sweep(config: Path, out: Path | None, trials: int | None, overrides: tuple[str, ...]) -> None:
    """Search for the best settings: run the trials that the table [sweep] of CONFIG describes.

    Each trial is a run folder, OUT/trial-N, or a folder of one for each seed. Run the command again after a
    kill, and on other machines that see OUT at the same time: all of them share the trials.
    """
    begin()
    from superloop_plugin_lab.report import print_trials
    from superloop_plugin_lab.sweeping import Sweep

    changes = [change for change in overrides if not change.strip().startswith("sweep.")]
    out = out or Path("runs") / f"{folder_name(name_of(config), changes)}+sweep"
    if trials is not None:
        overrides += (f"sweep.trials={trials}",)
    opened = Sweep.open(config, overrides, out)
    for _ in opened.run():
        pass
    print_trials(opened)
    if opened.interrupted:
        sys.exit(130)
    if all(not trial.values for trial in opened.study.get_trials(deepcopy=False)):
        sys.exit(1)


@click.command()
@RUN
@click.option(
    "--format",
    "form",
    type=click.Choice(["saved_model", "tflite", "onnx", "safetensors"]),
    required=True,
    help="What to write.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The file or folder to write.")
@click.option("--length", type=COUNT, help=LENGTH)
def export(run: Path, form: str, out: Path, length: int | None) -> None:
    """Export a run's model, and check the file: its answers on drawn sequences must be the model's.

    Exported is the model with the best weights: as a SavedModel, for TFLite (one sequence at a time) or ONNX,
    or the weights alone as safetensors.
    """
    begin()
    from superloop_plugin_lab.exporting import export_run

    with output_to_stderr():  # what converters print
        exported = export_run(run, form, out, length=length)
    shapes = [
        f"{name} ({', '.join('any' if size is None else str(size) for size in shape)})"
        for name, shape in exported.inputs.items()
    ]
    difference = f"answers differ by {exported.difference:.2g} at most (tolerance {exported.tolerance:g})"
    click.echo(printable(str(exported.path)))
    if form != "safetensors":
        click.echo(printable(f"inputs: {', '.join(shapes)}; outputs: {', '.join(exported.outputs)}"))
    click.echo(difference)
