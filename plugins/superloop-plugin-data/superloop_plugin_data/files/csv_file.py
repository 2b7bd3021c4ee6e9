"""Files of comma-separated values, with the names of the columns in the first line."""

import csv
import itertools
from collections.abc import Iterator
from typing import BinaryIO

from superloop_core import ConfigError
from superloop_core.errors import short_repr
from superloop_plugin_data.files.table import Example, LineFile


class CsvFile(LineFile):
    """A ``.csv`` file, or a ``.tsv`` file with tabs, in UTF-8."""

    def _open_rows(self) -> None:
        self._delimiter = "\t" if self.path.suffix.lower() == ".tsv" else ","
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
                    self._groups.add(self._count(), values[place], f"{self.path}, line {line}")
                self._add_row(offset, line)

    def _read(self, index: int) -> Example:
        numbers = self._rows_of(index)
        with self.path.open("rb") as file:
            file.seek(self._offsets[numbers[0]])
            found = itertools.islice(self._rows(file, self._lines[numbers[0]]), len(numbers))
            rows = [values for _, _, values in found]
        columns = zip(self.columns, zip(*rows, strict=True), strict=True)
        return self._example({name: list(values) for name, values in columns})

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
