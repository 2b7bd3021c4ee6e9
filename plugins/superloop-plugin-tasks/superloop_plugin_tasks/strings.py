"""The base class of tasks that read a string and then answer."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from superloop_core.task import Batch
from superloop_plugin_tasks.sequences import TITLE, Drawn, SequenceTask, placed, shortened


class StringTask(SequenceTask):
    """Read a string, one symbol at each timestep, and then return the answer, one symbol at each timestep.

    ::

        inputs    a b b . . .        one-hot; at ".", one more channel is 1 and requests the answer
        targets   - - - b b a        classes; -1 without a target

    Between string and answer there are ``think_steps`` timesteps with inputs of zeros.

    Attributes:
        verb: the operation on the string, for titles.
    """

    verb: str

    @abstractmethod
    def strings(self, rng: np.random.Generator, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw a string of each of the ``lengths`` ``(batch,)``, and its answer.

        Returns:
            strings ``(batch, length)``, whose symbols after each string's length are ignored, and answers
            ``(batch, any)``, -1 after their ends.
        """

    def draw(self, rng: np.random.Generator, lengths: np.ndarray) -> Drawn:
        """Draw strings, each followed by its answer."""
        settings, timesteps = self.settings, self.settings.timesteps
        strings, answers = self.strings(rng, lengths)
        answered = np.broadcast_to(settings.answer_length(lengths), lengths.shape)  # (batch,)
        symbols = placed(strings, np.zeros_like(lengths), lengths, timesteps, empty=-1)
        one_hot = symbols[:, :, None] == np.arange(len(settings.alphabet))
        starts = lengths + settings.think_steps
        requests = placed(np.ones_like(answers), starts, answered, timesteps, empty=0)
        inputs = np.concatenate([one_hot, requests[:, :, None]], axis=-1)  # (batch, timesteps, input_size)
        return Drawn(inputs, placed(answers, starts, answered, timesteps, empty=-1), starts + answered)

    def tokens(self, batch: Batch, results: Mapping[str, Any]) -> dict[str, list[list[str]]]:
        """Return symbols, answers and targets as letters; ``.`` requests an answer."""
        inputs, answers = np.asarray(batch.inputs["inputs"]), np.asarray(results["outputs"]).argmax(axis=-1)
        symbols = np.where(inputs.any(axis=-1), inputs.argmax(axis=-1), -1)
        asked = np.where(batch.targets >= 0, answers, -1)
        return {
            "inputs": _letters(f"{self.settings.alphabet}.", symbols),
            "answers": _letters(self.settings.answers, asked),
            "targets": _letters(self.settings.answers, batch.targets),
        }

    def title(self, batch: Batch, row: int) -> str:
        """``reverse abba -> abba``"""
        symbols, answer = batch.inputs["inputs"][row, :, :-1], batch.targets[row]
        string = "".join(self.settings.alphabet[s] for s in symbols[symbols.any(axis=-1)].argmax(axis=-1))
        answered = "".join(self.settings.answers[a] for a in answer[answer >= 0])
        room = TITLE - len(self.verb) - len("  -> ")
        answered = shortened(answered, room // 2)
        return f"{self.verb} {shortened(string, room - len(answered))} -> {answered}"


def _letters(alphabet: str, codes: np.ndarray) -> list[list[str]]:
    return [["" if code < 0 else alphabet[code] for code in row] for row in codes.tolist()]


def backwards(strings: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Reverse the first ``lengths`` ``(batch,)`` symbols of each row; ignore the rest."""
    index = lengths[:, None] - 1 - np.arange(strings.shape[1])
    return np.take_along_axis(strings, np.maximum(index, 0), axis=1)
