"""Every error the package raises, under one base class.

An error names the place, the rule, the value received and the next move. No message has more than
``MAX_MESSAGE`` characters or holds a control code, whatever names and values it quotes.
"""

import difflib
import errno
import os
from collections.abc import Iterable

import attrs

MAX_MESSAGE = 3_500  # characters: a command adds a file's name, and stays below 4,000
MAX_PROBLEM = 800


def printable(text: str) -> str:
    """Escape what a terminal would obey or an encoding would reject; newlines and tabs stay."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


def cut(text: str, limit: int) -> str:
    """Return a text as :func:`printable` has it, and cut after ``limit`` characters."""
    shown = printable(text[: limit + 1])
    return shown if len(shown) <= limit else f"{shown[:limit]}..."


def _cut_problem(text: str) -> str:
    """Cut a long text in the middle: it ends in the next move."""
    if len(text) <= MAX_PROBLEM:
        return cut(text, MAX_PROBLEM)
    return f"{cut(text[: MAX_PROBLEM // 2], MAX_PROBLEM // 2)} ... {cut(text[-300:], 350)}"


class SuperloopError(Exception):
    """The base of every error that superloop_core and its plugins raise on purpose."""

    # Keras marks explained errors so; it wraps others in a dump of the arguments.
    _keras_call_info_injected = True

    def __init__(self, *args: object):
        super().__init__(*(cut(value, MAX_MESSAGE) if isinstance(value, str) else value for value in args))


@attrs.frozen
class Problem:
    """A problem of a config: ``where`` it is, and ``what`` the rule, the value and the next move are."""

    where: str = attrs.field(converter=_cut_problem)
    what: str = attrs.field(converter=_cut_problem)

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


class ConfigError(SuperloopError, ValueError):
    """A config that cannot be used; ``problems`` lists its problems, and the message as many as fit."""

    def __init__(self, problems: Iterable[Problem] | str):
        self.problems = (Problem("", problems),) if isinstance(problems, str) else tuple(problems)
        room, lines = MAX_MESSAGE - 100, list[str]()  # 100 are for the last line
        for problem in self.problems:
            room -= len(str(problem)) + 1
            if room < 0:
                lines.append(f"... and {len(self.problems) - len(lines):,} more")
                break
            lines.append(str(problem))
        super().__init__("\n".join(lines))


class PluginError(SuperloopError):
    """A plugin that is unknown, ambiguous or broken."""


class UnknownPluginError(PluginError):
    """There is no plugin with this name."""


class SourceError(SuperloopError, ValueError):
    """An input or a source of a call that is missing, unknown or of a wrong shape."""


class TraceError(SuperloopError, KeyError):
    """A trace name that the loop does not have."""

    def __str__(self) -> str:  # KeyError would show the repr
        return str(self.args[0])


class WeightsError(SuperloopError, ValueError):
    """A file of weights that does not belong to this config; no weight was changed."""


class RunFolderError(SuperloopError):
    """A run folder that is damaged, in use by another process, or cannot be read or written."""


NEXT_MOVES = {
    "free space there, or raise the limit, and run the command again": (
        errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG,
    ),
    "choose a place that you may read and write": (errno.EACCES, errno.EPERM, errno.EROFS),
    "choose a shorter name": (errno.ENAMETOOLONG,),
    "a folder is in the place of a file: move it away, or choose another name": (errno.EISDIR,),
    "a file is in the place of a folder: move it away, or choose another name": (errno.ENOTDIR, errno.EEXIST),
    "check the path: was it mistyped, deleted or renamed?": (
        errno.ENOENT, getattr(errno, "ESTALE", errno.ENOENT),
    ),
}  # fmt: skip


def os_reason(error: OSError) -> str:
    """Return what the system reports, and the next move: ``No space left on device; free space there``."""
    what = os.strerror(error.errno) if error.errno else " ".join(str(error).split())[:200]
    moves = (move for move, numbers in NEXT_MOVES.items() if error.errno in numbers)
    return "; ".join((what, *moves))


def message(error: BaseException) -> str:
    """Return an error's message; attrs's errors have the attribute and the value as further arguments.

    Never fails, though the error may be of a plugin's class.
    """
    try:
        attribute = len(error.args) > 1 and isinstance(error.args[1], attrs.Attribute)
        return str(error.args[0] if attribute else error)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return "<its message cannot be read>"


def reason(error: BaseException) -> str:
    """Return an error's class and message, cut: ``ZeroDivisionError: division by zero``."""
    return cut(f"{type(error).__name__}: {message(error)}", MAX_PROBLEM)


def short_repr(value: object) -> str:
    """Return the repr of a value, cut where it is long; never fails."""
    try:
        text = repr(value)
    except KeyboardInterrupt:
        raise
    except BaseException:  # an integer of more than 4,300 digits; nested very deep; a plugin's own class
        text = f"<{type(value).__name__}>"
    return cut(text, 200)


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'X'?"`` for the nearest known name, else all of them, else nothing."""
    known = sorted(set(known))
    return nearest(name, known) or (f"; there are: {', '.join(known)}" if known else "")


def nearest(name: object, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'X'?"`` for the nearest known name, or nothing."""
    if not isinstance(name, str) or len(name) > 200:  # a comparison takes long then
        return ""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
