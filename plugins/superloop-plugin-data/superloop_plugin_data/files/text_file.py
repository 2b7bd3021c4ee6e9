"""Plain text: each line is an example."""

from array import array

from superloop_core import ConfigError
from superloop_plugin_data.files.table import Example, Table


class TextFile(Table):
    """A ``.txt`` file, in UTF-8. Each line that is not empty is an example, with the column ``text``."""

    def _open(self) -> None:
        if self.sequence:
            raise ConfigError(f"{self.path}: text has no column {self.sequence!r}; leave 'sequence' out")
        self.columns = ("text",)
        self._offsets, self._lines = array("q"), array("q")
        with self.path.open("rb") as file:
            offset = 0
            for number, raw in enumerate(file, 1):
                self._decoded(raw, number)
                if raw.strip():
                    self._offsets.append(offset)
                    self._lines.append(number)
                offset += len(raw)

    def __len__(self) -> int:
        return len(self._offsets)

    def _read(self, index: int) -> Example:
        with self.path.open("rb") as file:
            file.seek(self._offsets[index])
            return {"text": self._decoded(file.readline(), self._lines[index]).rstrip("\r\n")}

    def whole(self) -> str:
        """Return the whole text."""
        self._check_unchanged()
        return self.path.read_text("utf-8")

    def place(self, index: int, timestep: int = 0) -> str:
        """Return the line."""
        return f"{self.path}, line {self._lines[index]}"

    def _decoded(self, raw: bytes, line: int) -> str:
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ConfigError(f"{self.path}, line {line}: is not in UTF-8; save it as UTF-8") from error
