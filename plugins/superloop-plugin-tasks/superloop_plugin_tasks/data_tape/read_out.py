"""Read out a tape."""

from string import ascii_lowercase

import numpy as np

from superloop_core.task import Batch
from superloop_plugin_tasks.data_tape.tape_task import TapeTask


class ReadOut(TapeTask):
    """Say the next symbol of the tape whenever it is asked.

    ::

        tape       a c b
        inputs     0 1 0 0 1 1
        targets    - a - - c b

    A tape of n symbols takes 2 n timesteps, n of them, evenly drawn, with a question.
    """

    def tapes(self, rng: np.random.Generator, lengths: np.ndarray) -> np.ndarray:
        """Draw symbols evenly."""
        return rng.integers(0, self.settings.symbols, (len(lengths), self.settings.length))

    def read(
        self, rng: np.random.Generator, lengths: np.ndarray, tape: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw when the symbols are asked."""
        timesteps = 2 * lengths
        order = rng.random((len(lengths), self.settings.timesteps))
        order[np.arange(self.settings.timesteps) >= timesteps[:, None]] = 2  # after all others
        rank = order.argsort(axis=1).argsort(axis=1)
        asks = rank < lengths[:, None]  # (batch, timesteps)
        place = np.maximum(asks.cumsum(axis=1) - 1, 0)
        targets = np.where(asks, np.take_along_axis(tape, np.minimum(place, tape.shape[1] - 1), axis=1), -1)
        return asks[..., None], targets, timesteps

    def encoded(self, tape: np.ndarray) -> np.ndarray:
        """Symbols, one-hot."""
        return np.eye(self.settings.symbols)[tape]

    def labels(self, datapoints: np.ndarray) -> tuple[str, ...]:
        """Letters."""
        return tuple(_letter(point) for point in datapoints)

    def title(self, batch: Batch, row: int) -> str:
        """``read out acb``"""
        return f"read out {''.join(self.labels(batch.inputs[self.source][row]))}"


def _letter(one_hot: np.ndarray) -> str:
    symbol = int(one_hot.argmax())
    return ascii_lowercase[symbol % 26] if one_hot.any() else ""
