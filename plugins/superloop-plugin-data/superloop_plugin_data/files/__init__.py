"""Files of examples: rows by number, with their places."""

from pathlib import Path

from superloop_core import ConfigError
from superloop_core.errors import os_reason
from superloop_core.limits import UnreadableError, check_file
from superloop_plugin_data.files.csv_file import CsvFile
from superloop_plugin_data.files.jsonl_file import JsonlFile
from superloop_plugin_data.files.npz_file import NpzFile
from superloop_plugin_data.files.parquet_file import ParquetFile
from superloop_plugin_data.files.table import Table
from superloop_plugin_data.files.text_file import TextFile

__all__ = ["Table", "open_table"]

KINDS: dict[str, type[Table]] = {
    ".csv": CsvFile,
    ".tsv": CsvFile,
    ".jsonl": JsonlFile,
    ".ndjson": JsonlFile,
    ".npz": NpzFile,
    ".parquet": ParquetFile,
    ".txt": TextFile,
}


def open_table(path: str, sequence: str | None = "") -> Table:
    """Open a file, and find its examples.

    Args:
        path: from the folder in which the command runs.
        sequence: the column with the id of a row's sequence; empty: a row is an example; None: all rows are.

    Raises:
        ConfigError: there is no such file, it is of another kind, or a row of it cannot be read.
    """
    place = Path(path)
    if (kind := KINDS.get(place.suffix.lower())) is None:
        raise ConfigError(f"{path}: a file of examples must end in {', '.join(KINDS)}")
    try:
        check_file(place, 2**63)
        return kind(place, sequence)
    except UnreadableError as error:
        raise ConfigError(f"{path}: {error}") from error
    except OSError as error:
        where = f" (looked for at {place.absolute()})" if not place.is_absolute() else ""
        raise ConfigError(f"{path}{where}: cannot be read: {os_reason(error)}") from error
