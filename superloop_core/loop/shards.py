"""A batch in shards, which run side by side: how many, split by rows, and joined again; and padding."""

import math
import os
from collections.abc import Callable
from functools import partial
from itertools import pairwise
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
    """Split a batch into shards of equal size; or nearly so, where the batch size is known."""
    if shards == 1:
        return [whole]
    rows = whole.sequence.batch_size
    bounds: list[Any] = [k * rows // shards for k in range(shards + 1)]
    sizes = [stop - start for start, stop in pairwise(bounds)]
    pieces: dict[int, list[Tensor]] = {}  # by the id of a tensor, which ``whole`` holds

    def cut(tensor: Tensor, k: int) -> Tensor:
        if id(tensor) not in pieces:
            pieces[id(tensor)] = tf.split(tensor, sizes if isinstance(rows, int) else shards)
        return pieces[id(tensor)][k]

    return [
        _with_rows(
            whole,
            partial(cut, k=k),
            batch_size=sizes[k],
            first_row=whole.sequence.first_row + bounds[k],
        )
        for k in range(shards)
    ]


def join_rows(results: list[Any]) -> Any:
    """Concatenate the shards' results."""
    if len(results) == 1:
        return results[0]
    return tf.nest.map_structure(lambda *tensors: tf.concat(tensors, axis=0), *results)


def pad_rows(whole: Shard, rows: Tensor) -> Shard:
    """Return a batch with as many rows: the last one is repeated, and no gradient reaches it from there.

    A copy of a row computes the row's numbers. Zeros could give NaN where no row of the batch does, and so
    spoil the gradients of the weights.
    """
    given = whole.sequence.batch_size
    copied = tf.fill([rows - given], given - 1)

    def padded(tensor: Tensor) -> Tensor:
        return tf.concat([tensor, tf.stop_gradient(tf.gather(tensor, copied))], axis=0)

    return _with_rows(whole, padded, batch_size=rows)


def first_rows(results: Any, rows: Tensor) -> Any:
    """Return the results without those of the padding."""
    return tf.nest.map_structure(lambda tensor: tensor[:rows], results)


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


def _with_rows(whole: Shard, change: Callable[[Tensor], Tensor], **known: Any) -> Shard:
    """Return a shard with other rows, which ``change`` returns for each tensor."""

    def changed(nest: Any) -> Any:
        return tf.nest.map_structure(lambda tensor: None if tensor is None else change(tensor), nest)

    sequence = attrs.evolve(
        whole.sequence,
        lengths=changed(whole.sequence.lengths),
        sources=changed(dict(whole.sequence.sources)),
        masks=changed(dict(whole.sequence.masks)),
        **known,
    )
    return Shard(changed(whole.given), changed(whole.state), sequence)


def _bytes_of_row(tensor: Tensor) -> int:
    """Return the size of one row; an unknown axis counts as 1."""
    return int(math.prod(size or 1 for size in tensor.shape[1:]) * tensor.dtype.size)
