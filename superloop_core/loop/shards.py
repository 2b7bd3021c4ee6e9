"""A batch in shards, which run side by side: how many, split by rows, and joined again."""

import math
import os
from typing import Any, NamedTuple

import attrs
import tensorflow as tf

from superloop_core.builder.protocol import Sequence, State, Tensor

MOST_SHARDS = 8  # of a batch, unless its memory is large
LEAST_ROWS = 8  # of a shard
CACHE = 2**19  # bytes of a memory that stay near a core


class Shard(NamedTuple):
    """Some rows of a batch."""

    given: dict[str, Tensor]  # inputs and mask, each (batch, timesteps, ...)
    state: State
    sequence: Sequence


def split_rows(whole: Shard, shards: int) -> list[Shard]:
    """Split a batch into shards of equal size, or nearly so."""
    if shards == 1:
        return [whole]
    rows = whole.sequence.batch_size
    return [_cut(whole, k * rows // shards, (k + 1) * rows // shards) for k in range(shards)]


def join_rows(results: list[Any]) -> Any:
    """Concatenate the shards' results."""
    if len(results) == 1:
        return results[0]
    return tf.nest.map_structure(lambda *tensors: tf.concat(tensors, axis=0), *results)


def count_shards(rows: Any, state: State) -> int:
    """Return how many shards a compiled loop runs in.

    One for each core, since XLA keeps only one core busy with the small products of a timestep; more
    where a shard's memory would not stay in a core's cache from one timestep to the next.
    """
    if tf.config.list_physical_devices("GPU"):
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = min(cores, MOST_SHARDS)
    if not isinstance(rows, int):
        return cores
    even = [n for n in range(1, rows // LEAST_ROWS + 1) if rows % n == 0] or [1]
    for_each_core = max(n for n in even if n <= cores)
    choices = [n for n in even if n % for_each_core == 0]
    memory = rows * max(map(_bytes_of_row, tf.nest.flatten(state)), default=0)
    return next((n for n in choices if memory <= n * CACHE), choices[-1])


def _cut(whole: Shard, start: Any, stop: Any) -> Shard:
    def cut(nest: Any) -> Any:
        return tf.nest.map_structure(lambda tensor: None if tensor is None else tensor[start:stop], nest)

    sequence = attrs.evolve(
        whole.sequence,
        batch_size=stop - start,
        first_row=whole.sequence.first_row + start,
        lengths=cut(whole.sequence.lengths),
        sources=cut(dict(whole.sequence.sources)),
        masks=cut(dict(whole.sequence.masks)),
    )
    return Shard(cut(whole.given), cut(whole.state), sequence)


def _bytes_of_row(tensor: Tensor) -> int:
    """Return the size of one row; an unknown axis counts as 1."""
    return int(math.prod(size or 1 for size in tensor.shape[1:]) * tensor.dtype.size)
