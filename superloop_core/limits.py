"""The memory of this machine, and the reading of files up to a size.

Sizes are checked before anything is read or made: a file of a few kilobytes can claim terabytes.
"""

import contextlib
import errno
import os
import stat
from pathlib import Path

from superloop_core.errors import SuperloopError

MIB = 2**20
FREE = 64 * MIB  # what a file may claim whatever it stores
RATIO = 100  # how much more than it stores a file may claim beyond that
CGROUP = Path("/sys/fs/cgroup")  # what a container may use
_LIMITS = (CGROUP / "memory.max", CGROUP / "memory/memory.limit_in_bytes")  # of versions 2 and 1


class UnreadableError(SuperloopError):
    """A file that is not read: no regular file, or too large. The caller adds what it was to be."""


def check_file(path: Path, most: int | None = None) -> int:
    """Return the size in bytes of a regular file; a link to one counts.

    A device or a named pipe may have no end, or may block for ever.

    Args:
        path: of the file.
        most: the largest size allowed; None: that of the memory.

    Raises:
        OSError: there is no such file.
        UnreadableError: it is no regular file, or is larger.
    """
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableError("is a device or a pipe, not a regular file")
    most = machine_memory() if most is None else most
    if status.st_size > most:
        raise UnreadableError(f"may have {most:,} bytes at most: {status.st_size:,}")
    return status.st_size


def read_file(path: Path, most: int) -> bytes:
    """Return the bytes of a regular file of ``most`` bytes at most.

    Raises:
        OSError: it cannot be read.
        UnreadableError: it is no regular file, or is larger.
    """
    check_file(path, most)
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:  # it grew, or its size is not known, as in /proc
        raise UnreadableError(f"may have {most:,} bytes at most")
    return data


def check_unpacked(claimed: int, stored: int) -> None:
    """Check that content of ``claimed`` bytes can be in a file of ``stored`` bytes, and in memory.

    Compression and arrays that were never written let a small file claim any size.

    Raises:
        UnreadableError: it cannot, unless with a rate of compression that numbers do not have.
    """
    if claimed > max(FREE, RATIO * stored):
        raise UnreadableError(f"claims {in_bytes(claimed)} of content, but has only {in_bytes(stored)}")
    if claimed > machine_memory():
        memory = in_bytes(machine_memory())
        raise UnreadableError(f"holds {in_bytes(claimed)}, but this machine has {memory} of memory")


def machine_memory() -> int:
    """Return the memory of this machine, or of the container around, in bytes; 2**63 - 1 if unknown."""
    sizes = [2**63 - 1]
    with contextlib.suppress(AttributeError, OSError, ValueError):  # not on Windows
        sizes.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for path in _LIMITS:
        try:
            text = path.read_text()
        except OSError:
            continue
        if text.strip().isdecimal():
            sizes.append(int(text))
    return min(size for size in sizes if size > 0)


def in_bytes(number: int) -> str:
    """Return a number of bytes in words: ``1.5 GB``."""
    for unit, size in (("EB", 1e18), ("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= size:
            return f"{number / size:,.3g} {unit}" if number < 1e21 else "more than 1,000 EB"
    return f"{number} bytes"
