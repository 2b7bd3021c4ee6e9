"""A progress bar on stderr."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


@contextmanager
def progress(
    what: str, total: int, figures: str = "", *, done: int = 0, leaves_no_trace: bool = False
) -> Iterator[Callable[[int, str], None]]:
    """Show a progress bar, and yield the function that updates it with a count and a few figures.

    Args:
        what: what is under way.
        total: the count at the end.
        figures: the text shown at first.
        done: the count at first.
        leaves_no_trace: remove the bar at the end, and show it on a terminal only.
    """
    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    hidden = leaves_no_trace and not console.is_terminal
    with Progress(*columns, console=console, transient=leaves_no_trace, disable=hidden) as bar:
        task = bar.add_task(what, total=total, completed=done, figures=figures)
        yield lambda done, figures: bar.update(task, completed=done, figures=figures)
