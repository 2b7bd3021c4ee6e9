"""The inputs of an example: numbers, or text as tokens."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from superloop_core import ConfigError
from superloop_core.errors import short_repr
from superloop_plugin_data.normalization import Normalization
from superloop_plugin_data.tokens import UNKNOWN, Vocabulary, make_tokenizer
from superloop_plugin_data.values import as_matrix


class Numbers:
    """Sequences of numbers.

    Args:
        columns: that hold them; several are put side by side.
        normalize: shift and scale them.
        missing: ``refuse`` or ``mean``.
    """

    tokens = 0

    def __init__(self, columns: Iterable[str], normalize: bool, missing: str):
        self.columns = list(columns)
        self._normalize = normalize
        self._missing = missing
        self._empty = self._counted = 0  # numbers of training examples
        self.size = 0
        self.normalization: Normalization | None = None

    def raw(self, example: Mapping[str, Any], place: Callable[[int], str]) -> np.ndarray:
        """Return the numbers of an example, ``(timesteps, numbers)``."""
        parts = [as_matrix(example[name], name, place) for name in self.columns]
        if len({len(part) for part in parts}) > 1:
            sizes = ", ".join(f"{name} {len(part)}" for name, part in zip(self.columns, parts, strict=True))
            raise ConfigError(f"{place(0)}: all inputs must have as many timesteps: {sizes}")
        matrix = np.concatenate(parts, axis=1)
        self.size = self.size or matrix.shape[1]
        if matrix.shape[1] != self.size:
            raise ConfigError(f"{place(0)}: must have {self.size} inputs at a timestep: {matrix.shape[1]}")
        empty = np.argwhere(np.isnan(matrix))
        if len(empty) and self._missing == "refuse":
            timestep, number = map(int, empty[0])
            what = f'{self._name_of(number)} is missing; complete it, or set missing = "mean"'
            raise ConfigError(f"{place(timestep)}: {what}")
        return matrix

    def _name_of(self, number: int) -> str:
        """Return the column of a number, where each column has one."""
        return repr(self.columns[number]) if self.size == len(self.columns) else f"a number of {self.columns}"

    def learn(self, matrices: Iterable[np.ndarray]) -> None:
        """Learn means and standard deviations."""

        def counted() -> Iterator[np.ndarray]:
            for matrix in matrices:
                self._empty += int(np.isnan(matrix).sum())
                self._counted += matrix.size
                yield matrix

        self.normalization = Normalization.over(counted(), "'inputs'")

    def encode(self, matrix: np.ndarray) -> np.ndarray:
        """Return the numbers that a loop takes, ``(timesteps, numbers)`` of float32."""
        assert self.normalization is not None
        filled = np.where(np.isnan(matrix), self.normalization.mean, matrix)
        return (self.normalization.apply(filled) if self._normalize else filled).astype("float32")

    def state(self) -> dict[str, Any]:
        """Return what was learned."""
        assert self.normalization is not None
        return self.normalization.state()

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take over what was learned."""
        self.normalization = Normalization.of(state)
        self.size = len(self.normalization.mean)

    def facts(self) -> dict[str, str]:
        """Return how many numbers of the training examples are missing, if any."""
        return {"missing": f"{self._empty:,} of {self._counted:,} training inputs"} if self._empty else {}

    def unknown(self, numbers: np.ndarray) -> int:
        """Return 0: numbers are all known."""
        del numbers
        return 0


class Text:
    """Texts as tokens.

    Args:
        column: that holds the text; of a sequence of rows, that of each row, with spaces between.
        tokens: see :func:`~superloop_plugin_data.tokens.make_tokenizer`.
        max_tokens: likewise.
    """

    size = 0

    def __init__(self, column: str, tokens: str, max_tokens: int):
        self.columns = [column]
        self.tokenizer = make_tokenizer(tokens, max_tokens)

    @property
    def tokens(self) -> int:
        """The size of the vocabulary."""
        return len(self.tokenizer.names)

    def raw(self, example: Mapping[str, Any], place: Callable[[int], str]) -> str:
        """Return the text of an example."""
        value = example[self.columns[0]]
        texts = value if isinstance(value, list) else [value]
        if not all(isinstance(text, str) for text in texts):
            raise ConfigError(f"{place(0)}: {self.columns[0]!r} must be a text: {short_repr(value)}")
        if not (text := " ".join(texts)):
            raise ConfigError(f"{place(0)}: {self.columns[0]!r} is empty")
        return text

    def learn(self, texts: Iterable[str]) -> None:
        """Learn the vocabulary."""
        self.tokenizer.learn(texts)

    def encode(self, text: str) -> np.ndarray:
        """Return the numbers of the tokens, ``(tokens,)`` of int32."""
        return self.tokenizer.numbers(text)

    def state(self) -> dict[str, Any]:
        """Return the vocabulary; nothing for one of a file."""
        return {"vocabulary": self.tokenizer.names} if isinstance(self.tokenizer, Vocabulary) else {}

    def facts(self) -> dict[str, str]:
        """Return the vocabulary."""
        return {"tokens": f"{self.tokens:,}: {short_repr(list(self.tokenizer.names))}"}

    def unknown(self, numbers: np.ndarray) -> int:
        """Return how many tokens of a text are not in a vocabulary that was learned."""
        return int((numbers == UNKNOWN).sum()) if isinstance(self.tokenizer, Vocabulary) else 0

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take over a vocabulary."""
        if isinstance(self.tokenizer, Vocabulary):
            self.tokenizer.set_names(state["vocabulary"])


def make_inputs(settings: Any) -> Numbers | Text:
    """Return the inputs that the settings name."""
    if settings.text:
        return Text(settings.text, settings.tokens, settings.max_tokens)
    return Numbers(settings.inputs, settings.normalize, settings.missing)
