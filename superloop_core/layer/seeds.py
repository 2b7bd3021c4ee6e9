"""The seeds of a loop's noise: a new one for each batch, from a generator that Keras seeds.

Its state is a variable of the model, in checkpoints and not in a ``.keras`` file, as that of Keras's dropout.
"""

from typing import Any

import keras
import tensorflow as tf

from superloop_core.builder.protocol import Tensor


def own_generator(wiring: Any) -> keras.random.SeedGenerator | None:
    """Return a new generator for a wiring that draws noise, and has none in its parts; else None."""
    return keras.random.SeedGenerator() if wiring.stochastic and not _generators(wiring) else None


def draw_seed(
    wiring: Any, own: keras.random.SeedGenerator | None, training: bool, *, peek: bool = False
) -> Tensor | None:
    """Return a seed for a batch, ``(2,)`` of uint32; None where no noise is drawn.

    Args:
        wiring: a generator of its parts is used, such as that of a cell with dropout.
        own: the result of :func:`own_generator`.
        training: whether the batch is trained on.
        peek: return the seed that the next call returns too.
    """
    if wiring.stochastic is not True and not (wiring.stochastic and training):
        return None
    generator = own or _generators(wiring)[0]
    return tf.cast(generator.state if peek else generator.next(), tf.uint32)


def _generators(wiring: Any) -> list[keras.random.SeedGenerator]:
    return [generator for layer in wiring._flatten_layers() for generator in layer._seed_generators]
