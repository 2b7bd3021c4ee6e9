"""Files with a JSON object in each line."""

import json
from array import array

from superloop_core import ConfigError
from superloop_core.errors import cut
from superloop_plugin_data.files.table import Example, Groups, Table, bounds


class JsonlFile(Table):
    """A ``.jsonl`` file, in UTF-8."""

    def _open(self) -> None:
        self._offsets, self._lines = array("q"), array("q")
        groups = Groups(self.path, self.sequence)
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
                        groups.add(len(self._offsets), str(row[self.sequence]), f"{self.path}, line {number}")
                    self._offsets.append(offset)
                    self._lines.append(number)
                offset += len(raw)
        self.columns = tuple(columns)
        count = len(self._offsets)
        self._bounds = bounds(self._starts(groups, count), count)

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def _read(self, index: int) -> Example:
        start, stop = map(int, self._bounds[index : index + 2])
        rows = []
        with self.path.open("rb") as file:
            for row in range(start, stop):
                file.seek(self._offsets[row])
                rows.append(self._parsed(file.readline(), self._lines[row]))
        if self.sequence == "":
            return rows[0]
        columns = {name: [row.get(name) for row in rows] for name in self.columns}
        return columns | ({self.sequence: rows[0][self.sequence]} if self.sequence else {})

    def place(self, index: int, timestep: int = 0) -> str:
        """Return the line."""
        return f"{self.path}, line {self._lines[int(self._bounds[index]) + timestep * (self.sequence != '')]}"

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
