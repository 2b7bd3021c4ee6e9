"""Open, write and replace files: no link is followed, and each error names its path."""

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from superloop_core.errors import RunFolderError, os_reason

TEMPORARY = ".new-"  # names that begin with it are of a write under way, or of one that was cut short
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # of a pipe: do not wait


class NamedErrors:
    """A ``with`` block whose OSErrors become a RunFolderError about a path.

    Args:
        path: the file or folder.
        rule: what cannot be done with it, such as ``cannot be written``.
    """

    def __init__(self, path: Path, rule: str):
        self._path = path
        self._rule = rule

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError):
            raise RunFolderError(f"{self._path}: {self._rule}: {os_reason(error)}") from error


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open a file of a run folder, and return its descriptor.

    Raises:
        RunFolderError: it is missing, a symbolic link, a folder, a pipe or a device, or cannot be opened.
    """
    what = kind_of(path)
    if what not in ("a file", "nothing") or (what == "nothing" and not flags & os.O_CREAT):
        raise RunFolderError(f"{path}: must be a file: {what}; {_move(what)}")
    with NamedErrors(path, "cannot be opened"):
        return os.open(path, flags | NO_FOLLOW | getattr(os, "O_BINARY", 0), 0o666)


def kind_of(path: Path) -> str:
    """Return what is at a path, in words, without following a link."""
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "nothing"
    except OSError as error:
        raise RunFolderError(f"{path}: cannot be opened: {os_reason(error)}") from error
    kinds = ((stat.S_ISREG, "a file"), (stat.S_ISLNK, "a symbolic link"), (stat.S_ISDIR, "a folder"))
    return next((name for matches, name in kinds if matches(mode)), "a pipe or a device")


def _move(what: str) -> str:
    if what == "nothing":
        return "put the file back"
    if what == "a symbolic link":
        return "put the file itself there; links inside a run folder are not followed"
    return "move it away, and put the file back"


def sync_file(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    descriptor = open_regular(path)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Wait until a folder's names are on the disk."""
    if not hasattr(os, "O_DIRECTORY"):
        return  # Windows opens no folders
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems cannot
            raise
    finally:
        os.close(descriptor)


def replace_file(path: Path, write: Callable[[Path], Any]) -> None:
    """Write a file under another name, and move it to ``path``: an older one is replaced as a whole or not.

    Args:
        path: of the file.
        write: writes the file to the path that it is given, in a folder of its own.

    Raises:
        OSError: it cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=path.parent) as folder:
        new = Path(folder) / path.name
        write(new)
        move_file(new, path)


def move_file(new: Path, path: Path) -> None:
    """Move a file to ``path`` on the same disk, where it replaces an older one, once its content is written.

    Raises:
        OSError: it cannot be moved.
    """
    sync_file(new)
    new.replace(path)
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a file or a link, or a folder with all that is in it."""
    if kind_of(path) == "a folder":
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
