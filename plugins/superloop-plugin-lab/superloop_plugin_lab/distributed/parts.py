"""A batch in parts, one for each worker or several, and what each of them counts."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from superloop_plugin_lab.distributed.workers import Workers

Weight = Callable[[Any], float]


class Part(NamedTuple):
    """Some rows of a batch, which one worker computes at once.

    Args:
        inputs: of the rows.
        targets: of the rows.
        weight: share of the rows in the mean loss of the batch, a scalar.
        rows: their share in its rows, a scalar.
        first_row: number of the first one, a scalar.
    """

    inputs: Any
    targets: Any
    weight: Any
    rows: Any
    first_row: Any


def parts_of(
    inputs: Any, targets: np.ndarray, workers: Workers, *, size: int | None = None, weight: Weight = len
) -> Iterator[Part]:
    """Cut a batch into parts of ``size`` rows, and yield this worker's rows of each.

    Where a worker has no row of a part, it gets the first one with a weight of 0, as all take part in a step.

    Args:
        inputs: arrays in any nest, each ``(batch, ...)``.
        targets: ``(batch, ...)``.
        workers: get rows each.
        size: rows of a part; None: the batch is one part.
        weight: how many numbers the mean loss of some targets is over.
    """
    whole, size = weight(targets) or 1, size or len(targets)
    for begin in range(0, len(targets), size):
        own = workers.rows(min(size, len(targets) - begin))
        count = own.stop - own.start
        first = begin + own.start if count else begin
        rows = slice(first, first + max(1, count))
        yield Part(
            inputs=tf.nest.map_structure(lambda array, rows=rows: array[rows], inputs),
            targets=targets[rows],
            weight=tf.constant(weight(targets[rows]) / whole if count else 0, "float64"),
            rows=tf.constant(count / len(targets), "float64"),
            first_row=tf.constant(first - begin),
        )
