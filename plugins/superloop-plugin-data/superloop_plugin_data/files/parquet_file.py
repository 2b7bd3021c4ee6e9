"""Files of Apache Parquet, through pyarrow."""

import importlib
from typing import Any

from superloop_core import ConfigError
from superloop_core.errors import cut
from superloop_core.limits import in_bytes, machine_memory
from superloop_plugin_data.files.table import Example, Groups, Table, bounds


class ParquetFile(Table):
    """A ``.parquet`` file, read into memory. A timestep is a row, or an entry of a list."""

    def _open(self) -> None:
        try:
            parquet: Any = importlib.import_module("pyarrow.parquet")
        except ImportError as error:
            raise ConfigError(
                f"{self.path}: needs pyarrow: pip install 'superloop-plugin-data[parquet]'"
            ) from error
        try:
            file = parquet.ParquetFile(self.path)
            groups = range(file.metadata.num_row_groups)
            size = sum(file.metadata.row_group(group).total_byte_size for group in groups)
            if 4 * size > machine_memory():
                raise ConfigError(
                    f"{self.path}: has {in_bytes(size)} of columns, which is too much for this machine's "
                    f"{in_bytes(machine_memory())} of memory; a .jsonl or .csv file is read bit by bit"
                )
            self._table = file.read()
        except ConfigError:
            raise
        except Exception as error:  # pyarrow's
            raise ConfigError(f"{self.path}: cannot be read as Parquet: {cut(str(error), 200)}") from error
        self.columns = tuple(self._table.column_names)
        groups_of_rows = Groups(self.path, self.sequence)
        if self.sequence:
            self.check_columns([self.sequence])
            for row, id in enumerate(self._table.column(self.sequence).to_pylist()):
                groups_of_rows.add(row, id, f"{self.path}, row {row}")
        self._bounds = bounds(self._starts(groups_of_rows, self._table.num_rows), self._table.num_rows)

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def _read(self, index: int) -> Example:
        start, stop = map(int, self._bounds[index : index + 2])
        columns: Example = self._table.slice(start, stop - start).to_pydict()
        if self.sequence == "":
            return {name: values[0] for name, values in columns.items()}
        return columns | ({self.sequence: columns[self.sequence][0]} if self.sequence else {})

    def place(self, index: int, timestep: int = 0) -> str:
        """Return the number of the row, from 0 on."""
        return f"{self.path}, row {int(self._bounds[index]) + timestep * (self.sequence != '')}"
