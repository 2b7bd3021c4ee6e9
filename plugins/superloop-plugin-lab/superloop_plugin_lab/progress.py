"""A progress bar on stderr."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class Unbreakable:
    """A stream whose errors end nothing: training goes on where its bar cannot be shown any more.

    Args:
        stream: such as a pipe that was closed, or a file on a full disk.
    """

    def __init__(self, stream: TextIO):
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text if that can be done."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush if that can be done."""
        with suppress(OSError, ValueError):
            self._stream.flush()


@contextmanager
def progress(
    what: str,
    total: int,
    figures: str = "",
    *,
    done: int = 0,
    leaves_no_trace: bool = False,
    hidden: bool = False,
) -> Iterator[Callable[[int, str], None]]:
    """Show a progress bar, and yield the function that updates it with a count and a few figures.

    Args:
        what: what is under way.
        total: the count at the end.
        figures: the text shown at first.
        done: the count at first.
        leaves_no_trace: remove the bar at the end, and show it on a terminal only.
        hidden: show nothing.
    """
    columns = (
        TextColumn(what, markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}", markup=False),  # a path may hold [/]
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(file=cast(TextIO, Unbreakable(sys.stderr)))
    hidden = hidden or (leaves_no_trace and not console.is_terminal)
    with Progress(*columns, console=console, transient=leaves_no_trace, disable=hidden) as bar:
        task = bar.add_task(what, total=total, completed=done, figures=figures)
        yield lambda done, figures: bar.update(task, completed=done, figures=figures)
