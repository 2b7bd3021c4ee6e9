"""The next token at each timestep."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from superloop_core import ConfigError, Sizes
from superloop_plugin_data.files import Table
from superloop_plugin_data.files.text_file import TextFile
from superloop_plugin_data.scoring import (
    ClassAccuracy,
    class_loss,
    classes_are_right,
    outputs_of,
    probabilities,
)
from superloop_plugin_data.settings import NextTokenConfig
from superloop_plugin_data.splits import in_order
from superloop_plugin_data.tasks.inputs import Text
from superloop_plugin_data.tasks.stored import Encoded, Part, Stored


class NextToken(Stored):
    """The next token at each timestep. Targets: ``(batch, timesteps)`` of int32, -1 in the padding."""

    inputs: Text
    per_timestep = True
    own_metrics = MappingProxyType({"token_accuracy": ClassAccuracy()})
    headline = "loss"

    def __init__(self, settings: NextTokenConfig, state: Mapping[str, Any] | None = None, rows: str = ""):
        self.inputs = Text(settings.text, settings.tokens, settings.max_tokens)
        super().__init__(settings, state, rows)

    def columns(self) -> list[str]:
        """The text."""
        return self.inputs.columns

    def raw(self, example: Mapping[str, Any], place: Callable[[int], str]) -> str:
        """Return the text."""
        return self.inputs.raw(example, place)

    def _check_all(self) -> None:
        self._wholes = [
            table.whole()
            if self.settings.window and isinstance(table, TextFile) and not self.predicts
            else None
            for table in self.tables
        ]
        self._numbers: dict[int, np.ndarray] = {}
        super()._check_all()

    def parts_of(self, table: int, index: int) -> list[Part]:
        """Return an example; of a whole text all its windows, with the first one."""
        if (text := self._wholes[table]) is None:
            return [Part(table, index)]
        return self._windows(table, 0, len(text)) if index == 0 else []

    def divide(self, number: int, table: Table, shares: Sequence[float]) -> list[list[Part]]:
        """Divide a whole text by its characters, in order."""
        if (text := self._wholes[number]) is None:
            return super().divide(number, table, shares)
        shares = np.array(shares) / np.sum(shares)
        return [self._windows(number, *ends) for ends in in_order(len(text), shares)]

    def learn(self, parts: Sequence[Part]) -> None:
        """Learn the vocabulary."""
        self.inputs.learn(map(self._text, parts))

    def encode(self, raw: str, part: Part) -> Encoded:
        """Return the tokens but the last, and those that follow them; of a new text all, or the last ones."""
        if self.predicts:
            numbers = self.inputs.encode(raw)[-self.settings.window :]
            return Encoded(numbers, np.full(len(numbers), -1, "int32"))
        numbers = self.inputs.encode(self._text(part))
        if len(numbers) < 2:
            raise ConfigError(f"needs two tokens at least: {len(numbers)}")
        return Encoded(numbers[:-1], numbers[1:])

    def measured_sizes(self) -> Sizes:
        """The tokens, in and out."""
        return Sizes(inputs=0, outputs=self.inputs.tokens, tokens=self.inputs.tokens)

    def learned(self) -> dict[str, Any]:
        """The vocabulary."""
        return self.inputs.state()

    def set_learned(self, state: Mapping[str, Any]) -> None:
        """Take over a vocabulary."""
        self.inputs.set_state(state)

    def answers(self, outputs: np.ndarray, length: int) -> Iterator[dict[str, Any]]:
        """The most probable token after the text, and its probability."""
        shares = probabilities(outputs[length - 1])
        yield {
            "predicted_token": self.inputs.tokenizer.names[int(shares.argmax())],
            "probability": shares.max(),
        }

    def title(self, target: np.ndarray) -> str:
        """The first tokens."""
        space = "" if self.settings.tokens == "characters" else " "
        return space.join(self.inputs.tokenizer.names[number] for number in target[:40] if number >= 0)

    def loss(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return the mean cross-entropy of a token, in nats."""
        return class_loss(targets, outputs_of(results, self.sizes.outputs))

    def correct(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return whether all tokens of each sequence are right, ``(batch,)`` of bool."""
        return classes_are_right(targets, outputs_of(results, self.sizes.outputs))

    def _text(self, part: Part) -> str:
        whole = self._wholes[part.table]
        text: str = self.raw_of(part) if whole is None else whole[part.start : part.stop]
        return text

    def _windows(self, table: int, start: int, stop: int) -> list[Part]:
        """Cut a text into windows, each with the token after it; others than characters between words."""
        size, parts = self.settings.window, []
        if self.settings.tokens == "characters":
            return [Part(table, 0, at, min(at + size + 1, stop)) for at in range(start, stop - 1, size)]
        words = [match.span() for match in re.finditer(r"\S+", str(self._wholes[table])[start:stop])]
        for at in range(0, len(words) - 1, size):
            last = words[min(at + size, len(words) - 1)]
            parts.append(Part(table, 0, start + words[at][0], start + last[1]))
        return parts
