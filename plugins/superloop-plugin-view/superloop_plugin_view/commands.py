"""The command plot."""

from pathlib import Path

import click

from superloop_core import ConfigError, Traces
from superloop_core.errors import os_reason, printable
from superloop_core.runs import replace_file

ENDINGS = (".pdf", ".png", ".svg", ".eps")


@click.command("plot")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="The picture: .pdf, .png, .svg or .eps."
)
@click.option("--trace", "names", multiple=True, help="A name or pattern of traces to draw; may be repeated.")
@click.option("--sequence", "sequences", type=int, multiple=True, help="A sequence to draw; may be repeated.")
@click.option("--width", help="Of the picture, in inches, or column (3.4) or page (7).")
@click.option("--font-size", type=float, help="In points.")
@click.option(
    "--timestep", "timesteps", type=int, multiple=True, help="At which links are shown; may be repeated."
)
def plot_command(
    file: Path,
    out: Path,
    names: tuple[str, ...],
    sequences: tuple[int, ...],
    width: str | None,
    font_size: float | None,
    timesteps: tuple[int, ...],
) -> None:
    """Draw a file of traces, which superloop trace or Traces.save wrote."""
    from superloop_plugin_view.plotting import plot

    if out.suffix not in ENDINGS:
        raise ConfigError(f"--out {out}: must end in one of {', '.join(ENDINGS)}")
    try:
        traces = Traces.load(file)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {os_reason(error)}") from error
    count = len(next(iter(traces.values()), ()))
    if wrong := [row for row in sequences if not 0 <= row < count]:
        raise ConfigError(f"--sequence must be from 0 to {count - 1}: {wrong[0]}")
    figure = plot(
        traces,
        names=names or None,
        sequences=sequences or None,
        width=None if width is None else _width(width),
        font_size=font_size,
        timesteps=timesteps or 4,
    )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        replace_file(out, figure.savefig)
    except OSError as error:
        raise ConfigError(f"--out {out}: cannot be written: {os_reason(error)}") from error
    click.echo(printable(str(out)))


def _width(text: str) -> float:
    from superloop_plugin_view.plotting import SIZES

    try:
        width = SIZES[text] if text in SIZES else float(text)
    except ValueError:
        width = 0.0
    if not 1 <= width <= 100:
        raise ConfigError(f"--width must be column, page or from 1 to 100 inches: {text}")
    return width
