"""Files with a JSON object in each line."""

import json

from superloop_core import ConfigError
from superloop_core.errors import cut
from superloop_plugin_data.files.table import Example, LineFile


class JsonlFile(LineFile):
    """A ``.jsonl`` file, in UTF-8."""

    def _open_rows(self) -> None:
        columns: dict[str, None] = {}
        with self.path.open("rb") as file:
            offset = 0
            for number, raw in enumerate(file, 1):
                if raw.strip():
                    row = self._parsed(raw, number)
                    columns |= dict.fromkeys(row)
                    if self.sequence:
                        if self.sequence not in row:
                            raise ConfigError(f"{self.path}, line {number}: has no {self.sequence!r}")
                        id = row[self.sequence]
                        id = None if id is None else str(id)
                        self._groups.add(self._count(), id, f"{self.path}, line {number}")
                    self._add_row(offset, number)
                offset += len(raw)
        self.columns = tuple(columns)

    def _read(self, index: int) -> Example:
        rows = []
        with self.path.open("rb") as file:
            for row in self._rows_of(index):
                file.seek(self._offsets[row])
                rows.append(self._parsed(file.readline(), self._lines[row]))
        if self.sequence == "":
            return rows[0]  # a key that it lacks is reported as such
        return self._example({name: [row.get(name) for row in rows] for name in self.columns})

    def _parsed(self, raw: bytes, line: int) -> Example:
        try:
            row = json.loads(raw.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise ConfigError(
                f"{self.path}, line {line}: is not valid JSON: {cut(str(error), 200)}"
            ) from error
        if not isinstance(row, dict):
            raise ConfigError(f"{self.path}, line {line}: must be an object: {type(row).__name__}")
        return row
