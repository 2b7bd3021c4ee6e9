"""Read out a tape."""

from string import ascii_lowercase

import numpy as np

from superloop_core.task import Batch
from superloop_plugin_tasks.data_tape.tape_task import TapeTask
from superloop_plugin_tasks.sequences import Drawn, placed


class ReadOut(TapeTask):
    """Return the next symbol of the tape at each request.

    ::

        tape       a c b
        inputs     0 1 0 0 1 1
        targets    - a - - c b

    A tape of n symbols takes 2 n timesteps; n of them, drawn uniformly, are requests.
    """

    def draw(self, rng: np.random.Generator, lengths: np.ndarray) -> Drawn:
        """Draw symbols uniformly, and then the timesteps of the requests."""
        settings, start, timesteps = self.settings, np.zeros_like(lengths), 2 * lengths
        symbols = rng.integers(0, settings.symbols, (len(lengths), settings.length))
        order = rng.random((len(lengths), settings.timesteps))
        order[np.arange(settings.timesteps) >= timesteps[:, None]] = 2  # after all others
        requests = order.argsort(axis=1).argsort(axis=1) < lengths[:, None]  # (batch, timesteps)
        latest = np.maximum(requests.cumsum(axis=1) - 1, 0)
        targets = np.where(requests, np.take_along_axis(symbols, latest, axis=1), -1)
        tape = placed(np.eye(settings.symbols)[symbols], start, lengths, settings.length, empty=0)
        return Drawn(requests[..., None], targets, timesteps, {self.source: tape})

    def labels(self, datapoints: np.ndarray) -> tuple[str, ...]:
        """Letters."""
        return tuple(_letter(point) for point in datapoints)

    def title(self, batch: Batch, row: int) -> str:
        """``read out acb``"""
        return f"read out {''.join(self.labels(batch.inputs[self.source][row]))}"


def _letter(one_hot: np.ndarray) -> str:
    symbol = int(one_hot.argmax())
    return ascii_lowercase[symbol % 26] if one_hot.any() else ""
