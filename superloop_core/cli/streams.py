"""Standard streams that are closed, full, or a pipe; and the width of tables on them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PIPED_WIDTH = 10_000  # columns of a table that is not shown on a terminal: a line for each row


def open_missing() -> None:
    """Give each closed standard stream the null device, before a file gets its number and its output.

    Text that a stream cannot encode, such as the name of a file that is no text, is escaped.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.dup(number), "w" if number else "r"))
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


def table_console() -> "Console":
    """Return a console for tables, which are as wide as they need to be where stdout is no terminal."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)


@contextmanager
def flushed() -> Iterator[None]:
    """Flush stdout at the end, so that an error of it is raised; else Python prints a traceback later.

    Where nobody reads the output any more, the process ends with 1, without a message.

    Raises:
        OSError: stdout is full.
    """
    try:
        yield
    except BrokenPipeError:
        sys.exit(1)
    finally:
        _flush()


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _discard()
        sys.exit(1)
    except OSError:
        _discard()
        raise


def _discard() -> None:
    """Let what is left of the output go to the null device."""
    null = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError, ValueError):  # a test's stdout has no number
        os.dup2(null, sys.stdout.fileno())
    os.close(null)
