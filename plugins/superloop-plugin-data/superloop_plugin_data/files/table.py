"""Table, the base class of files of examples."""

import abc
import functools
import hashlib
import os
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from superloop_core import ConfigError
from superloop_core.errors import did_you_mean, os_reason, short_repr

Example = dict[str, Any]  # by column: a value; of a timestep's column a list of values
BLOCK = 2**20


class Table(abc.ABC):
    """A file of examples, which are found when it is opened, and read when they are needed.

    Args:
        path: of the file.
        sequence: the column with the id of a row's sequence; empty: a row is an example; None: all rows are.

    Raises:
        ConfigError: the file is not valid.
    """

    def __init__(self, path: Path, sequence: str | None = ""):
        self.path = path
        self.sequence = sequence
        self._stamp = self._status()
        self.columns: tuple[str, ...] = ()
        self._open()
        self._check_unchanged()
        if not len(self):
            raise ConfigError(f"{path}: holds no example")

    @abc.abstractmethod
    def _open(self) -> None:
        """Set ``columns``, and find the examples."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """Return the number of examples."""

    @abc.abstractmethod
    def _read(self, index: int) -> Example:
        """Read an example."""

    @abc.abstractmethod
    def place(self, index: int, timestep: int = 0) -> str:
        """Return where an example, or a timestep of it, is: ``data.csv, line 12``."""

    def read(self, index: int) -> Example:
        """Read an example.

        Raises:
            ConfigError: it cannot be read, or the file has changed.
        """
        self._check_unchanged()
        return self._read(index)

    def __iter__(self) -> Iterator[Example]:
        return (self.read(index) for index in range(len(self)))

    def check_columns(self, names: Iterable[str]) -> None:
        """Check that the file has some columns.

        Raises:
            ConfigError: it lacks one.
        """
        for name in names:
            if name not in self.columns:
                raise ConfigError(f"{self.path}: has no column {name!r}{did_you_mean(name, self.columns)}")

    def checksum(self) -> str:
        """Return the SHA-256 of the file."""
        digest = self._digest
        self._check_unchanged()
        return digest

    @functools.cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256()
        with self.path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
        return digest.hexdigest()

    def _status(self) -> tuple[int, int]:
        try:
            status = os.stat(self.path)
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be read any more: {os_reason(error)}") from error
        return status.st_size, status.st_mtime_ns

    def _check_unchanged(self) -> None:
        if self._status() != self._stamp:
            raise ConfigError(f"{self.path}: was changed while it was read; start again once it is complete")


class RowFile(Table):
    """A file of rows. An example is a row, the rows of a sequence, or all of them."""

    def _open(self) -> None:
        self._groups = Groups(self.path, self.sequence)
        self._open_rows()
        rows = self._count()
        whole = [0] if rows else []
        starts = whole if self.sequence is None else self._groups.starts if self.sequence else range(rows)
        self._bounds = np.array([*starts, rows], "int64")  # the first row of each example, and the end

    @abc.abstractmethod
    def _open_rows(self) -> None:
        """Set ``columns``, find the rows, and add those of sequences to ``_groups``."""

    @abc.abstractmethod
    def _count(self) -> int:
        """Return the number of rows."""

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def _rows_of(self, index: int) -> range:
        """Return the numbers of an example's rows."""
        start, stop = map(int, self._bounds[index : index + 2])
        return range(start, stop)

    def _row_of(self, index: int, timestep: int) -> int:
        """Return the number of a timestep's row."""
        return int(self._bounds[index]) + (0 if self.sequence == "" else timestep)

    def _example(self, columns: Example) -> Example:
        """Return an example of the values of its rows, by column."""
        if self.sequence == "":
            return {name: values[0] for name, values in columns.items()}
        return columns | ({self.sequence: columns[self.sequence][0]} if self.sequence else {})


class LineFile(RowFile):
    """A text file whose rows are lines, or several lines each."""

    def _open(self) -> None:
        self._offsets, self._lines = array("q"), array("q")  # of each row
        super()._open()

    def _count(self) -> int:
        return len(self._lines)

    def _add_row(self, offset: int, line: int) -> None:
        self._offsets.append(offset)
        self._lines.append(line)

    def place(self, index: int, timestep: int = 0) -> str:
        """Return the line."""
        return f"{self.path}, line {self._lines[self._row_of(index, timestep)]}"


class Groups:
    """Rows that belong to sequences, each sequence's rows one after another.

    Args:
        path: of the file, for messages.
        column: with the id.
    """

    def __init__(self, path: Path, column: str | None):
        self._path = path
        self._column = column
        self._ids: set[Any] = set()
        self._last: Any = None
        self.starts: list[int] = []  # the number of each sequence's first row

    def add(self, row: int, id: Any, place: str) -> None:
        """Add a row.

        Raises:
            ConfigError: rows of another sequence stand between it and the others of its own.
        """
        if id is None or id == "":
            raise ConfigError(f"{place}: {self._column!r} is missing, which says the row's sequence")
        if self.starts and id == self._last:
            return
        if id in self._ids:
            raise ConfigError(
                f"{place}: the rows of the sequence {short_repr(id)} must follow one another; sort the file "
                f"by {self._column!r}"
            )
        self._ids.add(id)
        self._last = id
        self.starts.append(row)
