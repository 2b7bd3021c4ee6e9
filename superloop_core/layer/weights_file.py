"""HDF5 files of weights, from anyone: checked as a whole before any array is read."""

import io
import math
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import h5py
import keras

from superloop_core.errors import SuperloopError, WeightsError, os_reason, short_repr
from superloop_core.limits import MIB, check_file, check_unpacked

WEIGHTS = "model.weights.h5"  # in a .keras file
CONFIG = "config.json"
MAX_CONFIG = 32 * MIB
FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)
MAX_OBJECTS = 1_000_000  # groups and arrays of a file


@contextmanager
def open_weights(source: str | Path | IO[bytes]) -> Iterator[h5py.File]:
    """Open an HDF5 file that holds arrays of numbers and nothing else.

    Args:
        source: a path, or an open file.

    Raises:
        OSError: it cannot be read, or is no HDF5 file.
        UnreadableError: it is no regular file, or claims more than it stores.
        WeightsError: it refers to other files, or holds something else than numbers.
    """
    if isinstance(source, str | Path):
        size = check_file(Path(source))
    else:
        size = source.seek(0, io.SEEK_END)
        source.seek(0)
    with h5py.File(source, "r") as file:
        check_unpacked(bytes_of(arrays_of(file)), size)
        yield file


def arrays_of(group: h5py.Group) -> dict[str, h5py.Dataset]:
    """Return every array of a group by its path, without reading one.

    Raises:
        WeightsError: a link or an array refers to another file, an object has two names, or an array does
            not hold numbers.
    """
    arrays: dict[str, h5py.Dataset] = {}
    seen = {h5py.h5o.get_info(group.id).addr}
    groups = [("", group)]
    while groups:
        path, parent = groups.pop()
        for name in parent:
            where = f"{path}{name}"
            link = parent.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise WeightsError(f"{where} is a link ({type(link).__name__}); a file of weights has none")
            item = parent[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                raise WeightsError(f"{where} is a second name of an object; a file of weights has none")
            seen.add(address)
            if len(seen) > MAX_OBJECTS:
                raise WeightsError(f"holds more than {MAX_OBJECTS:,} arrays and groups")
            if isinstance(item, h5py.Group):
                groups.append((f"{where}/", item))
            else:
                arrays[where] = _checked(item, where)
    return arrays


def _checked(item: Any, where: str) -> h5py.Dataset:
    """Return an array whose numbers are in its file."""
    if not isinstance(item, h5py.Dataset):
        raise WeightsError(f"{where} is no array ({type(item).__name__})")
    if item.external or item.is_virtual:
        raise WeightsError(f"{where} takes its numbers from another file; save it with its own numbers")
    if item.shape is None or (item.dtype.kind not in "biuf" and item.attrs.get("dtype") != "bfloat16"):
        raise WeightsError(f"{where} must hold numbers: {item.dtype}")
    stored = item.id.get_create_plist()
    for filter in (stored.get_filter(index)[0] for index in range(stored.get_nfilters())):
        if filter not in FILTERS:  # HDF5 would look for a library that has it
            raise WeightsError(
                f"{where} is stored with the filter {filter}, which files of weights do not use"
            )
    return item


def bytes_of(arrays: dict[str, h5py.Dataset]) -> int:
    """Return how much memory arrays take."""
    return sum(math.prod(array.shape) * int(array.dtype.itemsize) for array in arrays.values())


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a ``.keras`` file whose members have the names and sizes that Keras gives them.

    Raises:
        OSError: it cannot be read.
        UnreadableError: it is no regular file, or claims more than it stores.
        WeightsError: it is no such file.
    """
    size = check_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive, size)
            yield archive
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
    ) as error:  # broken; of another kind; encrypted
        raise WeightsError(f"cannot be loaded: {error}") from error


def _check_members(archive: zipfile.ZipFile, size: int) -> None:
    """Check the members of a ``.keras`` file of ``size`` bytes, before one is read."""
    members = archive.infolist()
    names = Counter(member.filename for member in members)
    for name in (CONFIG, WEIGHTS):
        if name not in names:
            raise WeightsError(f"has no {name}; save the model again with model.save()")
    for member in members:
        name = member.filename
        path = name.removesuffix("/").split("/")
        if names[name] > 1 or "\\" in name or any(part in ("", ".", "..") for part in path):
            raise WeightsError(f"has a member that a .keras file cannot have: {short_repr(name)}")
        if name not in (CONFIG, WEIGHTS, "metadata.json") and path[0] != "assets":
            raise WeightsError(f"has a member that a .keras file does not have: {short_repr(name)}")
        if name == CONFIG and member.file_size > MAX_CONFIG:
            raise WeightsError(f"{CONFIG} may have {MAX_CONFIG:,} bytes at most: {member.file_size:,}")
    check_unpacked(sum(member.file_size for member in members), size)


def load_weights(model: keras.Model, path: str | Path) -> None:
    """Read the weights of a ``.keras`` or ``.weights.h5`` file into a model that was made in code.

    Nothing else of the file is read: the config in a ``.keras`` file makes no object.

    Args:
        model: a built model.
        path: the file.

    Raises:
        WeightsError: the file cannot be read, or holds other weights than the model's; none was changed.
    """
    path = Path(path)
    before = model.get_weights()
    try:
        with TemporaryDirectory() as folder:
            copy = Path(folder) / WEIGHTS  # what was checked is what Keras reads
            if path.suffix == ".keras":
                with open_archive(path) as archive:
                    archive.extract(WEIGHTS, folder)
            else:
                check_file(path)
                copy.write_bytes(path.read_bytes())
            with open_weights(copy) as file:
                check_weights(model, weights_of(arrays_of(file)))
            model.load_weights(copy)
    except Exception as error:  # what h5py and Keras raise on a broken file depends on where it is broken
        model.set_weights(before)
        raise WeightsError(f"{path}: {_reason(error)}") from error


def weights_of(arrays: Mapping[str, h5py.Dataset]) -> dict[str, tuple[int, ...]]:
    """Return the shape of every weight among the arrays of a file; an optimizer's variables are none."""
    return {name: array.shape for name, array in arrays.items() if _is_weight(name, array.dtype)}


def check_weights(model: keras.Model, stored: Mapping[str, tuple[int, ...]]) -> None:
    """Check that a file has exactly the weights of a model: Keras skips what it does not find.

    Args:
        model: a built model.
        stored: the result of :func:`weights_of`.

    Raises:
        WeightsError: it has others.
    """
    with TemporaryDirectory() as folder:
        own = Path(folder) / WEIGHTS
        model.save_weights(own)
        with h5py.File(own, "r") as file:
            needed = weights_of(arrays_of(file))
    differing = [name for name in sorted({*stored, *needed}) if stored.get(name) != needed.get(name)]
    if differing:
        listed = "; ".join(
            f"{name}: {stored.get(name, 'missing')} in the file, {needed.get(name, 'unknown')} to the model"
            for name in differing[:5]
        )
        more = f"; and {len(differing) - 5} more" if len(differing) > 5 else ""
        raise WeightsError(f"holds other weights than the model's: {listed}{more}")


def _is_weight(path: str, dtype: Any) -> bool:
    """Return whether a variable is a weight: no part of an optimizer, and no state of a seed, an integer."""
    return "int" not in str(dtype) and not path.startswith("optimizer/")


def _reason(error: Exception) -> str:
    if isinstance(error, SuperloopError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {os_reason(error)}"
    return f"cannot be loaded: {error}"
