"""Look up."""

from string import ascii_lowercase

import numpy as np

from superloop_core.task import Batch
from superloop_plugin_tasks.data_tape.tape_task import TapeTask
from superloop_plugin_tasks.sequences import Drawn, placed


class LookUp(TapeTask):
    """Return the symbol under a key.

    ::

        tape       4:a 1:c 7:b        no key occurs twice
        inputs     7 4 7
        targets    b a b

    A tape of n datapoints takes n timesteps, each with a key of the tape, drawn uniformly.
    """

    def draw(self, rng: np.random.Generator, lengths: np.ndarray) -> Drawn:
        """Draw keys, none twice, and symbols; then the requested keys."""
        settings, batch, start = self.settings, len(lengths), np.zeros_like(lengths)
        keys = rng.random((batch, settings.keys)).argsort(axis=1)[:, : settings.length]
        symbols = rng.integers(0, settings.symbols, keys.shape)
        place = rng.integers(0, lengths[:, None], (batch, settings.timesteps))
        one_hot = np.eye(settings.keys)[keys]  # (batch, length, keys)
        requested = np.take_along_axis(one_hot, place[..., None], axis=1)
        answers = np.take_along_axis(symbols, place, axis=1)
        points = np.concatenate([one_hot, np.eye(settings.symbols)[symbols]], axis=-1)
        return Drawn(
            placed(requested, start, lengths, settings.timesteps, empty=0),
            placed(answers, start, lengths, settings.timesteps, empty=-1),
            lengths,
            {self.source: placed(points, start, lengths, settings.length, empty=0)},
        )

    def labels(self, datapoints: np.ndarray) -> tuple[str, ...]:
        """``4:a``"""
        keys = self.settings.keys
        return tuple(
            f"{point[:keys].argmax()}:{ascii_lowercase[point[keys:].argmax() % 26]}" if point.any() else ""
            for point in datapoints
        )

    def title(self, batch: Batch, row: int) -> str:
        """``look up 7 4 1``"""
        inputs = batch.inputs["inputs"][row]
        return f"look up {' '.join(str(key) for key in inputs[inputs.any(axis=-1)].argmax(axis=-1))}"
