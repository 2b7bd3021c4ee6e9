"""Plain text: each line is an example."""

from superloop_core import ConfigError
from superloop_plugin_data.files.table import Example, LineFile


class TextFile(LineFile):
    """A ``.txt`` file, in UTF-8. Each line that is not empty is an example, with the column ``text``."""

    def _open_rows(self) -> None:
        if self.sequence:
            raise ConfigError(f"{self.path}: text has no column {self.sequence!r}; leave 'sequence' out")
        self.columns = ("text",)
        with self.path.open("rb") as file:
            offset = 0
            for number, raw in enumerate(file, 1):
                self._decoded(raw, number)
                if raw.strip():
                    self._add_row(offset, number)
                offset += len(raw)

    def _read(self, index: int) -> Example:
        with self.path.open("rb") as file:
            file.seek(self._offsets[index])
            return {"text": self._decoded(file.readline(), self._lines[index]).rstrip("\r\n")}

    def whole(self) -> str:
        """Return the whole text."""
        self._check_unchanged()
        return self.path.read_text("utf-8")

    def _decoded(self, raw: bytes, line: int) -> str:
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ConfigError(f"{self.path}, line {line}: is not in UTF-8; save it as UTF-8") from error
