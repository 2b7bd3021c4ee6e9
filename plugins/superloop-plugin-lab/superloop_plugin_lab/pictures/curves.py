"""A picture of accuracy against length: a line for each run, at trained lengths and beyond."""

import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from superloop_plugin_view.style import FAINT, RULE, styled_figure

from superloop_core import ConfigError
from superloop_core.config import load_dict
from superloop_core.errors import cut, os_reason
from superloop_core.runs import replace_file
from superloop_plugin_lab.evaluation import Evaluation
from superloop_plugin_lab.run_folder import RunFolder

LINES = ("#2f74ad", "#e4572e", "#2a9d78", "#8861b3", "#cf9500", "#5f6873", "#b8336a", "#12847f")
ENDINGS = (".png", ".pdf", ".svg")
SHADE = "#eef1f4"
MAX_LEGEND = 90  # characters in a line of the legend
Z = 1.96  # of the normal distribution, for 95%


def draw_curves(rows: Sequence[Evaluation], path: Path) -> None:
    """Draw every run's accuracy against length, in the format that the path's ending names.

    The accuracy of whole sequences has its 95% interval (Wilson, 1927,
    https://doi.org/10.1080/01621459.1927.10502953). Each metric whose name ends in ``accuracy`` has its own
    panel below. The trained lengths are shaded. If runs differ in them, a dotted line marks the longest of
    each run, and the legend gives it.

    Raises:
        ConfigError: the file cannot be written.
    """
    names = run_names(rows)
    runs: dict[str, list[Evaluation]] = {name: [] for name in names.values()}
    for row in sorted(rows, key=_length):
        runs[names[row.run]].append(row)
    trained = {run: of_run[0].trained for run, of_run in runs.items()}
    differ = len(set(trained.values())) > 1
    labels = {run: f"{run}, trained to {of[1]}" if differ and of else run for run, of in trained.items()}
    metrics = dict.fromkeys(name for row in rows for name in row.measured.metrics)
    panels = ["accuracy", *(name for name in metrics if name.endswith("accuracy"))]
    with styled_figure(7.2, 1 + 2.9 * len(panels), w_pad=0.12, h_pad=0.1, hspace=0.04) as figure:
        grid: list[Axes] = list(figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0])
        for axes, name in zip(grid, panels, strict=True):
            style_axes(axes, "sequence accuracy" if name == "accuracy" else name.replace("_", " "))
            for color, (run, of_run) in zip(itertools.cycle(LINES), runs.items(), strict=False):
                if measured := [row for row in of_run if name in row.measured.figures]:
                    _draw_line(axes, name, labels[run], measured, color)
        mark_trained(grid, [_length(row) for row in rows], trained)
        grid[-1].set_xlabel("length", color=FAINT)
        add_legend(figure, grid[0], list(labels.values()))
        save_picture(figure, path, "--plot")


def check_plot(path: Path, runs: Sequence[Path]) -> None:
    """Check, before anything is measured, that a picture can be drawn and written; create its folder.

    Raises:
        ConfigError: it cannot be written, or a run's task has no setting ``length``.
    """
    for run in runs:
        if "length" not in load_dict(RunFolder.open(run).config)["task"]:
            raise ConfigError(f"--plot {path}: the task of {run} has no setting 'length' to draw against")
    check_picture(path, "--plot")


def check_picture(path: Path, option: str) -> None:
    """Check that a picture can have a name, and create its folder.

    Raises:
        ConfigError: its format is unknown, or the folder cannot be created.
    """
    if path.suffix not in ENDINGS:
        raise ConfigError(f"{option} {path}: the file name must end in {' or '.join(ENDINGS)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_be_written(path, option, error) from error


def save_picture(figure: Figure, path: Path, option: str) -> None:
    """Write a figure in the format that the path's ending names.

    Raises:
        ConfigError: the file cannot be written.
    """
    try:
        replace_file(path, figure.savefig)
    except OSError as error:
        raise _cannot_be_written(path, option, error) from error


def add_legend(figure: Figure, axes: Axes, labels: Sequence[str]) -> None:
    """Name the lines of a panel above it, those whose label is one of ``labels``."""
    lines = [line for line in axes.get_lines() if line.get_label() in labels]
    across = max(1, min(3, MAX_LEGEND // max(map(len, labels), default=1)))
    place: dict[str, Any] = {"loc": "outside upper left", "ncols": across, "frameon": False}
    legend = figure.legend(lines, ["run"] * len(lines), handlelength=1.6, **place)
    for text, line in zip(legend.get_texts(), lines, strict=True):
        # Given to the legend, one that begins with _ would be left out.
        text.set_text(cut(str(line.get_label()), MAX_LEGEND))


def _cannot_be_written(path: Path, option: str, error: OSError) -> ConfigError:
    return ConfigError(f"{option} {path}: cannot be written: {os_reason(error)}")


def run_names(rows: Sequence[Evaluation]) -> dict[Path, str]:
    """Return a name for each run: its folder's name, or the whole path if two runs share that name."""
    runs = list(dict.fromkeys(row.run for row in rows))
    short = [run.resolve().name for run in runs]
    return {
        run: _readable(name if short.count(name) == 1 else str(run))
        for run, name in zip(runs, short, strict=True)
    }


def _readable(name: str) -> str:
    """Replace the bytes of a name that are not text."""
    return os.fsencode(name).decode(errors="replace")


def _length(row: Evaluation) -> int:
    assert row.length is not None
    return row.length


def style_axes(axes: Axes, title: str, *, share: bool = True) -> None:
    """Give a panel of curves its labels and grid; ``share``: from 0 to 100%."""
    axes.set_ylabel(title, color=FAINT)
    if share:
        axes.set_ylim(-0.03, 1.03)
        axes.set_yticks(np.linspace(0, 1, 5))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, steps=(1, 2, 5, 10)))
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=FAINT)
    axes.spines[:].set_visible(False)


def _draw_line(axes: Axes, name: str, label: str, rows: Sequence[Evaluation], color: str) -> None:
    """Draw a figure of one run at the lengths where it was measured; accuracy with its interval."""
    lengths = [_length(row) for row in rows]
    figures = np.array([row.measured.figures[name] for row in rows])
    if name == "accuracy":
        low, high = _interval(figures, np.array([row.sequences for row in rows]))
        if len(rows) > 1:
            axes.fill_between(lengths, low, high, color=color, alpha=0.15, linewidth=0)
        else:
            axes.vlines(lengths, low, high, color=color, alpha=0.4, linewidth=1.8)
    axes.plot(lengths, figures, "o-", color=color, label=label, linewidth=1.8, markersize=4, clip_on=False)


def _interval(accuracy: np.ndarray, sequences: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return Wilson's 95% interval of a proportion."""
    share = Z**2 / sequences
    middle = (accuracy + share / 2) / (1 + share)
    half = np.sqrt(accuracy * (1 - accuracy) * share + share**2 / 4) / (1 + share)
    return middle - half, middle + half


def mark_trained(
    panels: Sequence[Axes], lengths: list[int], trained: Mapping[str, tuple[int, int] | None]
) -> None:
    """Set the axis of lengths; shade the trained ones, or if runs differ in them mark each run's longest."""
    low, high = min(lengths + [of_run[0] for of_run in trained.values() if of_run]), max(lengths)
    margin = max(1, 0.015 * (high - low))
    panels[0].set_xlim(low - margin, high + margin)
    if len(set(trained.values())) > 1:
        for color, of_run in zip(itertools.cycle(LINES), trained.values(), strict=False):
            _, longest = of_run or (0, 0)
            for axes in panels:
                axes.axvline(longest, color=color, linestyle=(0, (1, 2)), linewidth=1.4, zorder=0)
        return
    shortest, longest = next(iter(trained.values())) or (low, low)
    for axes in panels:
        axes.axvspan(shortest - 0.5, longest + 0.5, color=SHADE, linewidth=2, zorder=0)
    note = f"trained on {shortest}" + (f" to {longest}" if longest > shortest else "")
    left = shortest - 0.5
    panels[0].annotate(
        note,
        (left, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, 3),
        textcoords="offset points",
        horizontalalignment="left" if left < (low + high) / 2 else "right",
        color=FAINT,
        fontsize=8,
    ).set_in_layout(False)
