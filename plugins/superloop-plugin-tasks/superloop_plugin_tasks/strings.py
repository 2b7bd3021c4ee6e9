"""What tasks that read a string and then answer share."""

from abc import abstractmethod

import numpy as np

from superloop_core.task import Batch
from superloop_plugin_tasks.sequences import TITLE, Drawn, SequenceTask, placed, shortened


class StringTask(SequenceTask):
    """Read a string, a symbol at each timestep, and then give the answer, a symbol at each timestep.

    ::

        inputs    a b b . . .        one-hot; where "." stands, a further channel is 1 and asks
        targets   - - - b b a        classes; -1 where nothing is asked

    Attributes:
        verb: what is done to a string, for titles.
    """

    verb: str

    @abstractmethod
    def strings(self, rng: np.random.Generator, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw a string of each of the ``lengths`` ``(batch,)``, and answer it.

        Returns:
            strings ``(batch, length)``, of which no more than each one's length counts, and answers
            ``(batch, any)``, -1 where nothing is asked.
        """

    def draw(self, rng: np.random.Generator, lengths: np.ndarray) -> Drawn:
        """Draw strings, and put each one's answer after it."""
        settings, timesteps = self.settings, self.settings.timesteps
        strings, answers = self.strings(rng, lengths)
        asked = np.broadcast_to(settings.answer_length(lengths), lengths.shape)  # (batch,)
        symbols = placed(strings, np.zeros_like(lengths), lengths, timesteps, empty=-1)
        one_hot = symbols[:, :, None] == np.arange(len(settings.alphabet))
        asks = placed(np.ones_like(answers), lengths, asked, timesteps, empty=0)
        inputs = np.concatenate([one_hot, asks[:, :, None]], axis=-1)  # (batch, timesteps, input_size)
        return Drawn(inputs, placed(answers, lengths, asked, timesteps, empty=-1), lengths + asked)

    def title(self, batch: Batch, row: int) -> str:
        """``reverse abba -> abba``"""
        symbols, answer = batch.inputs["inputs"][row, :, :-1], batch.targets[row]
        string = "".join(self.settings.alphabet[s] for s in symbols[symbols.any(axis=-1)].argmax(axis=-1))
        answered = "".join(self.settings.answers[a] for a in answer[answer >= 0])
        room = TITLE - len(self.verb) - len("  -> ")
        answered = shortened(answered, room // 2)
        return f"{self.verb} {shortened(string, room - len(answered))} -> {answered}"


def backwards(strings: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Reverse the first ``lengths`` ``(batch,)`` symbols of each row; the rest means nothing."""
    index = lengths[:, None] - 1 - np.arange(strings.shape[1])
    return np.take_along_axis(strings, np.maximum(index, 0), axis=1)
