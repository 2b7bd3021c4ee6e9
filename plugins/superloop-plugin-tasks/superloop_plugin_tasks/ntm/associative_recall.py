"""Associative recall."""

import numpy as np

from superloop_core.task import Batch
from superloop_plugin_tasks.sequences import Drawn, SequenceTask, placed


class AssociativeRecall(SequenceTask):
    """Read n items, then one of them again, not the last; return the item after it.

    An item is a delimiter and some binary vectors. The query is between two delimiters of another kind. Two
    items may be equal by chance.

    ::

        vectors              . A . B . C . B . .
        delimiter of items   1 0 1 0 1 0 0 0 0 0
        of the query         0 0 0 0 0 0 1 0 1 0
        targets              - - - - - - - - - C        (items of one vector)

    n items of v vectors take n (v + 1) + 2 (v + 1) timesteps.

    Reference: Graves et al., 2014, https://arxiv.org/abs/1410.5401
    """

    def draw(self, rng: np.random.Generator, lengths: np.ndarray) -> Drawn:
        """Draw bits and the query uniformly."""
        settings, timesteps, batch = self.settings, self.settings.timesteps, len(lengths)
        size = settings.vectors + 1  # timesteps of an item and its delimiter
        items = rng.integers(0, 2, (batch, settings.length, settings.vectors, settings.width))
        query, rows = rng.integers(0, lengths - 1), np.arange(batch)
        ends = lengths * size  # (batch,)

        with_delimiters = np.zeros((batch, settings.length, size, settings.width + 2), "int64")
        with_delimiters[:, :, 0, -2] = 1
        with_delimiters[:, :, 1:, :-2] = items
        shown = with_delimiters.reshape(batch, settings.length * size, -1)
        query_part = np.zeros((batch, size + 1, settings.width + 2), "int64")
        query_part[:, [0, -1], -1] = 1
        query_part[:, 1:-1, :-2] = items[rows, query]
        inputs = placed(shown, np.zeros_like(ends), ends, timesteps, empty=0)
        inputs += placed(query_part, ends, np.full_like(ends, size + 1), timesteps, empty=0)

        counts = np.full_like(ends, settings.vectors)
        targets = placed(items[rows, query + 1], ends + size + 1, counts, timesteps, empty=-1)
        return Drawn(inputs, targets, ends + 2 * size)

    def title(self, batch: Batch, row: int) -> str:
        """``recall 1 of 3 items of 3 vectors``"""
        count = int(batch.inputs["inputs"][row, :, -2].sum())
        return f"recall 1 of {count} items of {self.settings.vectors} vectors"
