"""Files of comma-separated values, with the names of the columns in the first line."""

import csv
import itertools
from array import array
from collections.abc import Iterator
from typing import Any, BinaryIO

from superloop_core import ConfigError
from superloop_core.errors import short_repr
from superloop_plugin_data.files.table import Example, Groups, Table, bounds


class CsvFile(Table):
    """A ``.csv`` file, or a ``.tsv`` file with tabs, in UTF-8."""

    def _open(self) -> None:
        self._delimiter = "\t" if self.path.suffix.lower() == ".tsv" else ","
        self._offsets, self._lines = array("q"), array("q")  # of each row
        groups = Groups(self.path, self.sequence)
        with self.path.open("rb") as file:
            rows = self._rows(file, first_line=1)
            header = next(rows, None)
            if header is None:
                raise ConfigError(f"{self.path}: is empty")
            self.columns = tuple(name.strip().removeprefix("\ufeff") for name in header[2])
            if len(set(self.columns)) < len(self.columns):
                raise ConfigError(f"{self.path}: two columns have one name: {', '.join(self.columns)}")
            if self.sequence:
                self.check_columns([self.sequence])
            place = self.columns.index(self.sequence) if self.sequence else 0
            for offset, line, values in rows:
                if len(values) != len(self.columns):
                    raise ConfigError(
                        f"{self.path}, line {line}: must have {len(self.columns)} values, as the first line "
                        f"has: {len(values)}"
                    )
                if self.sequence:
                    groups.add(len(self._offsets), values[place], f"{self.path}, line {line}")
                self._offsets.append(offset)
                self._lines.append(line)
        count = len(self._offsets)
        self._bounds = bounds(self._starts(groups, count), count)

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def _read(self, index: int) -> Example:
        start, stop = map(int, self._bounds[index : index + 2])
        with self.path.open("rb") as file:
            file.seek(self._offsets[start])
            rows = [
                values
                for _, _, values in itertools.islice(self._rows(file, self._lines[start]), stop - start)
            ]
        if self.sequence == "":
            return dict(zip(self.columns, rows[0], strict=True))
        columns: dict[str, Any] = {
            name: list(values) for name, values in zip(self.columns, zip(*rows, strict=True), strict=True)
        }
        if self.sequence:
            columns[self.sequence] = columns[self.sequence][0]
        return columns

    def place(self, index: int, timestep: int = 0) -> str:
        """Return the line."""
        return f"{self.path}, line {self._lines[int(self._bounds[index]) + timestep * (self.sequence != '')]}"

    def _rows(self, file: BinaryIO, first_line: int) -> Iterator[tuple[int, int, list[str]]]:
        """Yield the offset, the number of the first line, and the values of each row that is not empty."""
        offset, line = file.tell(), first_line
        read = [0, 0]  # bytes and lines of the rows since the last one

        def lines() -> Iterator[str]:
            for raw in file:
                read[0] += len(raw)
                read[1] += 1
                try:
                    yield raw.decode("utf-8")
                except UnicodeDecodeError as error:
                    number = line + read[1] - 1
                    raise ConfigError(
                        f"{self.path}, line {number}: is not in UTF-8; save it as UTF-8"
                    ) from error

        reader = csv.reader(lines(), delimiter=self._delimiter, strict=True)
        while True:
            try:
                values = next(reader, None)
            except csv.Error as error:
                raise ConfigError(f"{self.path}, line {line}: {short_repr(str(error))}") from error
            if values is None:
                return
            if values:
                yield offset, line, values
            offset, line = offset + read[0], line + read[1]
            read[:] = 0, 0
