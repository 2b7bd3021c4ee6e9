"""Files of Apache Parquet, through pyarrow."""

from superloop_core import ConfigError
from superloop_core.errors import cut
from superloop_core.limits import in_bytes, machine_memory
from superloop_plugin_data.extras import import_extra
from superloop_plugin_data.files.table import Example, RowFile


class ParquetFile(RowFile):
    """A ``.parquet`` file, read into memory. A timestep is a row, or an entry of a list."""

    def _open_rows(self) -> None:
        parquet = import_extra("pyarrow.parquet", "parquet", str(self.path))
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
        if self.sequence:
            self.check_columns([self.sequence])
            for row, id in enumerate(self._table.column(self.sequence).to_pylist()):
                self._groups.add(row, id, f"{self.path}, row {row}")

    def _count(self) -> int:
        return int(self._table.num_rows)

    def _read(self, index: int) -> Example:
        rows = self._rows_of(index)
        return self._example(self._table.slice(rows.start, len(rows)).to_pydict())

    def place(self, index: int, timestep: int = 0) -> str:
        """Return the number of the row, from 0 on."""
        return f"{self.path}, row {self._row_of(index, timestep)}"
