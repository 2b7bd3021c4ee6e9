"""Products of permutations."""

import numpy as np

from superloop_core.task import Batch
from superloop_plugin_tasks.regular import PermutationsConfig
from superloop_plugin_tasks.sequences import Drawn, SequenceTask, placed


class Permutations(SequenceTask):
    """Rearrange a row of items again and again, and return the arrangement: the word problem of a group.

    A row begins as 0, 1, 2, ... A permutation g puts the item of place g_i at place i. Each timestep has one,
    and its target is the arrangement after it; with ``answer = "last"`` only the last timestep has a target.

    ::

        inputs     120 102 021        one-hot, all permutations in lexicographic order
        targets    120 210 201        classes, in the same order

    With two items the targets are parities. With five or more the group is not solvable: its products need
    depth, which attention and a diagonal recurrence do not have, if the classes of circuits TC0 and NC1
    differ. A sequence of n permutations takes n timesteps.

    Reference: Merrill, Petty and Sabharwal, 2024, https://arxiv.org/abs/2404.08819
    """

    def __init__(self, settings: PermutationsConfig):
        super().__init__(settings)
        all_of_them = np.array([[int(item) for item in word] for word in settings.alphabet])
        numbers = {word: number for number, word in enumerate(map(tuple, all_of_them.tolist()))}
        rearranged = all_of_them[:, all_of_them].reshape(-1, settings.items)  # each by each
        self.products = np.array([numbers[tuple(row)] for row in rearranged.tolist()])
        self.products = self.products.reshape(len(numbers), -1)  # [arrangement, permutation]

    def draw(self, rng: np.random.Generator, lengths: np.ndarray) -> Drawn:
        """Draw permutations uniformly."""
        size = self.settings.output_size
        drawn = rng.integers(0, size, (len(lengths), self.settings.length))
        arrangements = np.empty_like(drawn)
        now = np.zeros_like(lengths)
        for place in range(drawn.shape[1]):
            arrangements[:, place] = now = self.products[now, drawn[:, place]]
        starts, timesteps = np.zeros_like(lengths), self.settings.timesteps
        one_hot = drawn[:, :, None] == np.arange(size)
        if self.settings.answer == "last":
            arrangements[np.arange(drawn.shape[1]) != lengths[:, None] - 1] = -1
        inputs = placed(one_hot, starts, lengths, timesteps, empty=0)
        return Drawn(inputs, placed(arrangements, starts, lengths, timesteps, empty=-1), lengths)

    def title(self, batch: Batch, row: int) -> str:
        """``120 102 021 -> 201``"""
        words, inputs = self.settings.alphabet, batch.inputs["inputs"][row]
        string = " ".join(words[number] for number in inputs[inputs.any(axis=-1)].argmax(axis=-1))
        answers = batch.targets[row][batch.targets[row] >= 0]
        return f"{string} -> {words[answers[-1]]}"
