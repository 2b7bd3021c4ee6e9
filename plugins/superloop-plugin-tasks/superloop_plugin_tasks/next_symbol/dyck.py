"""Dyck languages."""

import numpy as np

from superloop_core.task import Batch
from superloop_plugin_tasks.next_symbol import DyckConfig
from superloop_plugin_tasks.next_symbol.nesting import Nesting
from superloop_plugin_tasks.sequences import Drawn, SequenceTask, placed


class Dyck(SequenceTask):
    """Predict which brackets may follow: every opening one, and the one that closes the last open one.

    ::

        inputs     [   (   )   ]         D_2
        targets    ([] ([) ([] ([

    Words are drawn from the grammar S -> (_i S )_i | S S | empty, with the probabilities ``nest`` (the same
    for all kinds i), ``join`` and the rest, given their length. The depth has no limit.

    A word of length n, which is even, takes n timesteps.

    Reference: Suzgun et al., 2019, https://arxiv.org/abs/1911.03329 (1/2 and 1/4; trained on lengths to 50)
    """

    def __init__(self, settings: DyckConfig):
        super().__init__(settings)
        self.nesting = Nesting(settings.length, settings.join, 1 - settings.nest - settings.join)

    def draw(self, rng: np.random.Generator, lengths: np.ndarray) -> Drawn:
        """Draw how brackets nest, and their kinds uniformly."""
        kinds, length, rows = self.settings.brackets, self.settings.length, np.arange(len(lengths))
        opens = self.nesting.draw(rng, lengths)
        word = rng.integers(0, kinds, opens.shape)  # of each place that opens
        to_close = np.full(opens.shape, -1)  # the kind of the last open bracket after each place
        stack, depth = np.full((len(rows), length // 2 + 1), -1), np.zeros_like(lengths)
        for place in range(length):
            closed = stack[rows, depth]
            depth = np.maximum(depth + np.where(opens[:, place], 1, -1), 0)
            stack[rows, depth] = np.where(opens[:, place], word[:, place], stack[rows, depth])
            word[:, place] = np.where(opens[:, place], word[:, place], kinds + closed)
            to_close[:, place] = stack[rows, depth]
        symbols, starts = np.arange(2 * kinds), np.zeros_like(lengths)
        one_hot = word[:, :, None] == symbols
        follows = (symbols < kinds) | (kinds + to_close[:, :, None] == symbols) & (to_close >= 0)[:, :, None]
        inputs = placed(one_hot, starts, lengths, length, empty=0)
        return Drawn(inputs, placed(follows.astype("int64"), starts, lengths, length, empty=-1), lengths)

    def title(self, batch: Batch, row: int) -> str:
        """``[()]``"""
        symbols = batch.inputs["inputs"][row]
        return "".join(self.settings.alphabet[s] for s in symbols[symbols.any(axis=-1)].argmax(axis=-1))
