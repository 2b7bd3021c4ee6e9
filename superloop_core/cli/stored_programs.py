"""Keep the programs that XLA compiles in the user's cache, and load them in later processes.

TensorFlow stores and loads them, given a folder. It moves a file into it when it is written, and loads only a
program of the very same computation. The rest is done here: each kind of machine and each TensorFlow has a
folder of its own, nobody else can write to it, damaged files are removed, and it stays small.
"""

import fcntl
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
import zlib
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

SWITCH = "SUPERLOOP_STORED_PROGRAMS"
ON = ("1", "true", "yes", "on")
FLAGS = "TF_XLA_FLAGS"
FOLDER = "programs-"
INDEX = "checksums.json"
LOCK = "lock"
FIELDS = {1, 2, 3}  # of TensorFlow's XlaSerializedCacheEntry: the key, the computation, the program
OF_CPU = ("vendor_id", "cpu family", "model", "stepping", "flags", "Features", "CPU ")  # of /proc/cpuinfo
OF_CODE = ("XLA_", "TF_", "ONEDNN_", "DNNL_", "OMP_")  # variables that may change what is compiled
NOT_OF_CODE = ("TF_CONFIG", "TF_CPP_")
MAX_BYTES = 100_000_000  # of all programs in a folder
SPARE_BYTES = 16_000_000  # that must be free to store more: one process stores a few million
UNUSED = 90 * 24 * 3600  # seconds after which the folder of another machine or TensorFlow is removed
WAIT = 2.0  # seconds for another process to check the folder


def use_stored_programs() -> bool:
    """Name the folder of stored programs in ``TF_XLA_FLAGS``; call it before TensorFlow starts.

    Returns:
        False: nothing was changed, as ``SUPERLOOP_STORED_PROGRAMS`` is not on, ``TF_XLA_FLAGS`` names a
        folder or a file already, or the folder cannot be used.
    """
    flags = os.environ.get(FLAGS, "").strip()
    named = "persistent_cache" in flags or (flags and not flags.startswith("-"))
    if named or os.environ.get(SWITCH, "").strip().lower() not in ON:
        return False
    try:
        folder = _private(_private(_cache() / "superloop") / f"{FOLDER}{_machine()}")
        if any(letter.isspace() or letter in "'\"\\" for letter in str(folder)):
            return False  # TensorFlow splits its flags there
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)  # open until the process ends
        os.utime(lock)
        if _is_locked(lock, fcntl.LOCK_EX):
            _clean(folder)
            _remove_unused(folder)
        if not _is_locked(lock, fcntl.LOCK_SH, WAIT):
            return False
        read_only = not _has_space(folder)
    except Exception:  # a run without stored programs is better than none
        return False
    more = {"directory": folder, "device_types": "CPU", "read_only": str(read_only).lower()}
    ours = (f"--tf_xla_persistent_cache_{name}={value}" for name, value in more.items())
    os.environ[FLAGS] = " ".join(filter(None, (flags, *ours)))
    return True


def _cache() -> Path:
    given = os.environ.get("XDG_CACHE_HOME", "")
    return Path(given) if os.path.isabs(given) else Path.home() / ".cache"


def _private(folder: Path) -> Path:
    """Make a folder that only this user can enter, or check that it is one.

    Raises:
        PermissionError: it is a link, another user's, or open to others.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder}: must be a folder of this user alone")
    return folder


def _machine() -> str:
    """Name all that changes what a computation is compiled to, besides the computation.

    Raises:
        LookupError: TensorFlow is not installed as usual.
        OSError: the system has no ``/proc/cpuinfo``.
    """
    found = find_spec("tensorflow")
    if found is None or found.origin is None:
        raise LookupError("no tensorflow")
    libraries = sorted(Path(found.origin).parent.glob("libtensorflow*"))
    first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    variables = {name: value for name, value in os.environ.items() if name.startswith(OF_CODE)}
    facts = [
        [(library.name, library.stat().st_size) for library in libraries],
        [line for line in first.splitlines() if line.startswith(OF_CPU)],
        len(os.sched_getaffinity(0)),
        sorted(item for item in variables.items() if not item[0].startswith(NOT_OF_CODE)),
    ]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    return f"{version('tensorflow')}-{digest[:16]}"


def _is_locked(descriptor: int, kind: int, wait: float = 0.0) -> bool:
    """Lock a file, and return whether that was possible within some seconds."""
    deadline = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
        time.sleep(0.02)


def _clean(folder: Path) -> None:
    """Remove what a kill or a failing disk left, and the oldest programs where there are too many.

    No other process uses the folder meanwhile.
    """
    try:
        known = dict(json.loads((folder / INDEX).read_text()))
    except (OSError, ValueError, TypeError):
        known = {}
    sums, total = {}, 0
    for file in sorted(_programs(folder), key=lambda file: file.stat().st_mtime_ns, reverse=True):
        content = file.read_bytes()
        checksum = zlib.crc32(content)
        is_good = known[file.name] == checksum if file.name in known else _is_whole(content)
        if file.suffix == ".pb" and is_good and total + len(content) <= MAX_BYTES:
            total += len(content)
            sums[file.name] = checksum
        else:
            file.unlink()
    new = folder / f"{INDEX}.new"
    new.write_text(json.dumps(sums))
    new.replace(folder / INDEX)


def _is_whole(content: bytes) -> bool:
    """Return whether a file has all of an entry: its key, its computation and its program."""
    from google.protobuf.empty_pb2 import Empty
    from google.protobuf.message import DecodeError
    from google.protobuf.unknown_fields import UnknownFieldSet

    try:
        entry = Empty.FromString(content)
    except DecodeError:  # it was cut short
        return False
    return {field.field_number for field in UnknownFieldSet(entry)} >= FIELDS


def _remove_unused(folder: Path) -> None:
    """Remove the folders beside this one that no process has used for long."""
    for other in folder.parent.glob(f"{FOLDER}*"):
        used = other / LOCK if (other / LOCK).exists() else other
        if other != folder and time.time() - used.stat().st_mtime > UNUSED:
            shutil.rmtree(other, ignore_errors=True)


def _programs(folder: Path) -> Iterator[Path]:
    """Yield the programs, and what was left of some."""
    return (file for file in folder.iterdir() if file.is_file() and file.name not in (INDEX, LOCK))


def _has_space(folder: Path) -> bool:
    """Return whether more programs can be stored."""
    if sum(file.stat().st_size for file in _programs(folder)) > MAX_BYTES:
        return False
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, SPARE_BYTES)
    except OSError:  # the disk is full, or the user's part of it
        return False
    return True
