"""Look up what stands under a key."""

from string import ascii_lowercase

import numpy as np

from superloop_core.task import Batch
from superloop_plugin_tasks.data_tape.tape_task import TapeTask


class LookUp(TapeTask):
    """Say which symbol stands under a key.

    ::

        tape       4:a 1:c 7:b        no key comes twice
        inputs     7 4 7
        targets    b a b

    A tape of n datapoints takes n timesteps, each with a key that is on the tape, evenly drawn.
    """

    def tapes(self, rng: np.random.Generator, lengths: np.ndarray) -> np.ndarray:
        """Draw keys, none twice, and symbols: ``(batch, length, 2)``."""
        settings, batch = self.settings, len(lengths)
        keys = rng.random((batch, settings.keys)).argsort(axis=1)[:, : settings.length]
        return np.stack([keys, rng.integers(0, settings.symbols, keys.shape)], axis=-1)

    def read(
        self, rng: np.random.Generator, lengths: np.ndarray, tape: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw which keys are asked."""
        shape = len(lengths), self.settings.timesteps
        place = rng.integers(0, lengths[:, None], shape)
        asked = np.take_along_axis(tape, place[..., None], axis=1)  # (batch, timesteps, 2)
        within = np.arange(shape[1]) < lengths[:, None]
        inputs = np.eye(self.settings.keys)[asked[..., 0]] * within[..., None]
        return inputs, np.where(within, asked[..., 1], -1), lengths

    def encoded(self, tape: np.ndarray) -> np.ndarray:
        """A key and a symbol, each one-hot."""
        settings = self.settings
        parts = np.eye(settings.keys)[tape[..., 0]], np.eye(settings.symbols)[tape[..., 1]]
        return np.concatenate(parts, axis=-1)

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
