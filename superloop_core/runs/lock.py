"""One writer at a time: a lock file with the host, the process and the time."""

import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from superloop_core.errors import RunFolderError
from superloop_core.runs.paths import NamedErrors, open_regular

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = "lock"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # containers of one machine share it
MAX_BYTES = 4096


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a run folder.

    The kernel's lock (flock) decides where the holder is on this machine, a container on it included: it ends
    with its process. A lock file that another machine left is respected, as a network file system may not
    pass locks on. So is one on a file system without locks, whoever left it.

    Raises:
        RunFolderError: another process holds the lock; the message says which one, and since when.
    """
    path = folder / LOCK
    descriptor = _take(path)
    try:
        with NamedErrors(path, "cannot be written"):
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, json.dumps(_me()).encode())
            os.fsync(descriptor)
        yield
    finally:
        ours = _is_at(descriptor, path)  # not so if the folder was deleted or renamed
        with suppress(OSError):  # the lock ends all the same
            if ours and fcntl is not None:
                path.unlink()
        os.close(descriptor)
        with suppress(OSError):
            if ours and fcntl is None:  # Windows removes no open file
                path.unlink()


def holder(folder: Path) -> str | None:
    """Return who writes a run folder, or was killed while it did, in words; None: nobody."""
    try:
        descriptor = open_regular(folder / LOCK)
    except RunFolderError:
        return None
    try:
        owner = _read(descriptor)
        try:
            locks = _lock(descriptor, folder / LOCK, shared=True)
        except RunFolderError:
            return f"{_words(owner)} is writing the folder"
        if not _is_at(descriptor, folder / LOCK):
            return None  # its holder ended meanwhile
    finally:
        os.close(descriptor)
    if locks and (not owner or _is_this_machine(owner)):
        return f"{_words(owner)} was killed while it wrote the folder"
    return f"{_words(owner)} is writing the folder, or was killed, which cannot be checked from this machine"


def _take(path: Path) -> int:
    """Open the lock file and lock it; return its descriptor."""
    while True:
        try:
            descriptor, created = open_regular(path, os.O_RDWR | os.O_CREAT | os.O_EXCL), True
        except RunFolderError as error:
            if not isinstance(error.__cause__, FileExistsError):
                raise
            try:
                descriptor, created = open_regular(path, os.O_RDWR), False
            except RunFolderError:
                if path.exists():
                    raise
                continue  # its holder ended in between
        try:
            _claim(descriptor, path, created)
        except BaseException:
            os.close(descriptor)
            raise
        if _is_at(descriptor, path):
            return descriptor
        os.close(descriptor)  # its holder ended, and removed the file that was opened


def _claim(descriptor: int, path: Path, created: bool) -> None:
    """Lock an open lock file.

    Raises:
        RunFolderError: another process holds it.
    """
    locks = _lock(descriptor, path)
    owner = _read(descriptor)
    if created or (locks and (not owner or _is_this_machine(owner))):
        return
    raise RunFolderError(
        f"{path.parent}: {_words(owner)} writes it, or was killed, which cannot be checked from this "
        f"machine; if that process no longer runs, delete {path} and try again"
    )


def _lock(descriptor: int, path: Path, *, shared: bool = False) -> bool:
    """Lock a file, unless the file system has no locks; return whether it has.

    Args:
        descriptor: of the open file.
        path: of the file.
        shared: only to see whether a process holds the lock; a writer that comes meanwhile tries again.

    Raises:
        RunFolderError: another process holds the lock.
    """
    if fcntl is None:
        return False
    for wait in (0, 0.05):
        time.sleep(wait)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            return True
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                return False
            refusal = error
    raise RunFolderError(
        f"{path.parent}: {_words(_read(descriptor))} is writing it; wait for its end, or stop it"
    ) from refusal


def _me() -> dict[str, Any]:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return {"host": socket.gethostname(), "boot": _boot(), "pid": os.getpid(), "since": since}


def _boot() -> str:
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _is_this_machine(owner: dict[str, Any]) -> bool:
    """Whether a holder runs, or ran, on this machine; it may have been started again since."""
    return owner.get("host") == socket.gethostname() or (bool(_boot()) and owner.get("boot") == _boot())


def _read(descriptor: int) -> dict[str, Any]:
    """Return what a lock file says of its holder; nothing if it is empty or damaged."""
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        read = json.loads(os.read(descriptor, MAX_BYTES))
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _words(owner: dict[str, Any]) -> str:
    if not owner:
        return "another process"
    pid, host, since = (str(owner.get(name))[:80] for name in ("pid", "host", "since"))
    return f"process {pid} on {host} (since {since})"


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except OSError:
        return False
