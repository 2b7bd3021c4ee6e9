"""Which examples are trained on, decide the best weights, and are tested."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from superloop_core.task import Split

SPLITS: tuple[Split, Split, Split] = ("train", "validation", "test")


def divided(
    count: int, fractions: Sequence[float], seed: int, labels: Sequence[str] | None = None
) -> list[np.ndarray]:
    """Divide examples at random.

    Args:
        count: number of examples.
        fractions: of each split.
        seed: of the division.
        labels: the class of each example, whose shares are kept; None: they need not be.

    Returns:
        the numbers of the examples of each split, in order.
    """
    rng = np.random.default_rng(seed)
    strata: defaultdict[str, list[int]] = defaultdict(list)
    for index in range(count):
        strata["" if labels is None else labels[index]].append(index)
    ranks = np.empty(count)  # within its class, from 0 to 1
    order = rng.permutation(count)
    position = np.empty(count, int)
    position[order] = np.arange(count)
    for members in strata.values():
        ordered = sorted(members, key=position.__getitem__)
        ranks[ordered] = (np.arange(len(ordered)) + 0.5) / len(ordered)
    # By rank within the class, so that each split has its fraction of all and, nearly, of each class.
    by_rank = np.lexsort((position, ranks))
    ends = np.rint(np.cumsum(fractions) * count).astype(int)
    parts = np.split(by_rank, ends[:-1])
    return [np.sort(part) for part in parts]


def in_order(count: int, fractions: Sequence[float]) -> list[tuple[int, int]]:
    """Divide ``count`` things that follow one another: the first and the end of each split."""
    ends = [0, *np.rint(np.cumsum(fractions) * count).astype(int).tolist()]
    return list(pairwise(ends))
