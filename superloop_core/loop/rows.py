"""A batch in parts: how many, split by rows, and joined again."""

import math
import os
from collections.abc import Iterator
from typing import Any

import attrs
import tensorflow as tf

from superloop_core.builder.protocol import Sequence, State, Tensor


def split(
    given: dict[str, Tensor], state: State, sequence: Sequence, parts: int
) -> Iterator[tuple[dict[str, Tensor], State, Sequence]]:
    """Split everything by rows."""
    if parts == 1:
        yield given, state, sequence
        return
    rows = sequence.batch_size
    for part in range(parts):
        start, stop = part * rows // parts, (part + 1) * rows // parts

        def cut(nest: Any, start: Any = start, stop: Any = stop) -> Any:
            return tf.nest.map_structure(lambda tensor: tensor[start:stop], nest)

        yield (
            cut(given),
            cut(state),
            attrs.evolve(
                sequence,
                batch_size=stop - start,
                lengths=cut(sequence.lengths),
                sources=cut(dict(sequence.sources)),
                masks=cut(dict(sequence.masks)),
            ),
        )


def joined(parts: list[Any]) -> Any:
    """Concatenate the parts by rows: the inverse of :func:`split`."""
    if len(parts) == 1:
        return parts[0]
    return tf.nest.map_structure(lambda *tensors: tf.concat(tensors, axis=0), *parts)


MOST_PARTS = 8  # of a batch, side by side, unless its memory is large
LEAST_ROWS = 8  # of a part
CACHE = 2**19  # bytes of a memory that are held near a core


def count_parts(rows: Any, state: Any) -> int:
    """In how many parts a compiled loop runs, side by side.

    One for each core, where they are worth it: XLA keeps one core busy with the small products of a timestep.
    More where a part's memory would not stay in a core's cache from one timestep to the next.
    """
    if tf.config.list_physical_devices("GPU"):
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = min(cores, MOST_PARTS)
    if not isinstance(rows, int):
        return cores
    even = [n for n in range(1, rows // LEAST_ROWS + 1) if rows % n == 0] or [1]
    for_each_core = max(n for n in even if n <= cores)
    choices = [n for n in even if n % for_each_core == 0]
    memory = rows * max(map(_bytes_of_row, tf.nest.flatten(state)))
    return next((n for n in choices if memory <= n * CACHE), choices[-1])


def _bytes_of_row(tensor: Any) -> int:
    """How large a row of a state is; an axis that is not known counts as 1."""
    return int(math.prod(size or 1 for size in tensor.shape[1:]) * tensor.dtype.size)
