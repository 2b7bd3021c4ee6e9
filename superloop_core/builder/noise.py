"""Noise: random numbers by seed, part, timestep and row, and by nothing else.

So they are the same in the backward pass, which recomputes a step, in any number of shards, in an unrolled
loop and in a compiled one. Each number is one output of a counter-based generator (Philox; Salmon et al.,
2011, https://doi.org/10.1145/2063384.2063405).
"""

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import Any

import attrs
import tensorflow as tf

from superloop_core.builder.protocol import Tensor
from superloop_core.errors import SuperloopError
from superloop_core.names import join

PHILOX = 1  # as TensorFlow numbers its algorithms
BITS = {"float32": (tf.uint32, 23), "float64": (tf.uint64, 52)}  # of a generator's output, and of a fraction
BLOCK = 128  # bits that the generator makes at once


@attrs.frozen(kw_only=True)
class _Stream:
    """Where the numbers of a call come from."""

    seed: Tensor  # (2,) of uint32, or None
    timestep: Any  # 0: before the first one
    first_row: Any
    rows: Any = None
    dtype: str = "float32"  # of the part
    path: str = ""
    draws: Iterator[int] = attrs.field(factory=count)


_current: ContextVar[_Stream | None] = ContextVar("current", default=None)
_first_row: ContextVar[Any] = ContextVar("first_row", default=0)


def draw_uniform(shape: tuple[int, ...], dtype: Any = None) -> Tensor:
    """Draw noise for a step, evenly distributed between 0 and 1, both excluded.

    Call it in ``step``, ``constants`` or ``initial_state`` of a Builder whose class has
    ``stochastic = True``. Each call draws numbers of its own, anew at each timestep and for each row. A seed
    of the loop decides them, whatever the number of cores; call ``keras.utils.set_random_seed`` before the
    loop is made.

    Args:
        shape: without the batch axis.
        dtype: float32 or float64; None: float64 where the part computes in it, else float32.

    Returns:
        ``(batch, *shape)``.

    Raises:
        SuperloopError: the class does not have ``stochastic = True``; it is called elsewhere; or the dtype is
            another.
    """
    stream = _current.get()
    if stream is None:
        raise SuperloopError(
            "noise can be drawn in 'initial_state', 'constants' and 'step' of a Builder only"
        )
    if stream.seed is None:
        raise SuperloopError(
            f"{stream.path}: draws noise, but its 'stochastic' says that it does not; write "
            "'stochastic = True' in its class, or 'stochastic = \"training\"' and draw in training only"
        )
    dtype = tf.as_dtype(dtype or stream.dtype).name
    if dtype not in BITS:
        raise SuperloopError(f"{stream.path}: noise is drawn in {' or '.join(BITS)}; cast it: {dtype!r}")
    integers, fraction = BITS[dtype]
    wanted = math.prod(shape)
    blocks = -(-wanted * integers.size * 8 // BLOCK)  # of a row
    bits = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=[stream.rows, blocks * BLOCK // (integers.size * 8)],
        key=_key(stream),
        counter=tf.stack(
            [tf.cast(stream.first_row, tf.uint64) * blocks, tf.cast(stream.timestep, tf.uint64)]
        ),
        alg=PHILOX,
        dtype=integers,
    )
    # In integers, as XLA makes other floats of the same bits.
    kept = tf.bitwise.right_shift(bits[:, :wanted], tf.constant(integers.size * 8 - fraction, integers))
    return tf.reshape((tf.cast(kept, dtype) + 0.5) / 2**fraction, [stream.rows, *shape])


def draw_normal(shape: tuple[int, ...], dtype: Any = None) -> Tensor:
    """Draw noise of the standard normal distribution; otherwise as :func:`draw_uniform`."""
    uniform = draw_uniform(shape, dtype)
    return math.sqrt(2) * tf.math.erfinv(2 * uniform - 1)


@contextmanager
def rows_from(first_row: Any) -> Iterator[None]:
    """Let a loop that is called within draw noise as for a part of a batch, as another worker has the rest.

    Args:
        first_row: number of the part's first row in the batch, an int or a scalar tensor.
    """
    token = _first_row.set(first_row)
    try:
        yield
    finally:
        _first_row.reset(token)


def first_row_of_batch() -> Any:
    """Return the number of a batch's first row: 0, or that of :func:`rows_from`."""
    return _first_row.get()


@contextmanager
def noise_of(seed: Any, first_row: Any, timestep: Any = None) -> Iterator[None]:
    """Let what is called within draw noise, as parts of a loop.

    Args:
        seed: ``(2,)`` of uint32; None: there is none, and to draw is an error.
        first_row: number of the first row in its batch.
        timestep: an int or a scalar tensor; None: before the first one.
    """
    before = _current.get()
    stream = _Stream(
        seed=seed,
        first_row=first_row,
        timestep=0 if timestep is None else timestep + 1,
        path="" if before is None else before.path,
    )
    with _in_use(stream):
        yield


@contextmanager
def noise_of_part(path: str, rows: Any, dtype: str = "float32") -> Iterator[None]:
    """Let a part of a loop, which is called within, draw noise of its own.

    Args:
        path: the part's.
        rows: their number.
        dtype: of what the part computes.
    """
    before = _current.get()
    stream, wide = None, "float64" if dtype == "float64" else "float32"
    if before is not None:
        whole = join(before.path, path) if before.path else path
        stream = attrs.evolve(before, path=whole, rows=rows, dtype=wide, draws=count())
    with _in_use(stream):
        yield


@contextmanager
def _in_use(stream: _Stream | None) -> Iterator[None]:
    token = _current.set(stream)
    try:
        yield
    finally:
        _current.reset(token)


def _key(stream: _Stream) -> Tensor:
    """Return the key of one call's numbers, ``(1,)``: a number that the seed's generator has at its name."""
    name = f"{stream.path}:{next(stream.draws)}".encode()
    place = int.from_bytes(hashlib.blake2b(name, digest_size=7).digest(), "little")  # below 2^63
    return tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=[1],
        key=tf.bitcast(stream.seed, tf.uint64)[None],
        counter=tf.constant([place, 0], tf.uint64),
        alg=PHILOX,
        dtype=tf.uint64,
    )
