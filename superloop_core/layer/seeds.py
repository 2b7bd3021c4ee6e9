"""The seeds of a loop's noise: a new one for each batch, from a generator that Keras seeds.

Its state is a variable of the model, in checkpoints and not in a ``.keras`` file, as that of Keras's dropout.
"""

from typing import Any

import keras
import tensorflow as tf

from superloop_core.builder.protocol import Builder, Tensor


def seed_generator(wiring: Any) -> keras.random.SeedGenerator | None:
    """Return the generator of a wiring's seeds: that of a cell with dropout, or a new one; None: no noise."""
    if not wiring.stochastic:
        return None
    found = [generator for layer in wiring._flatten_layers() for generator in layer._seed_generators]
    return found[0] if found else keras.random.SeedGenerator()


def draw_seed(builder: Builder, seeds: keras.random.SeedGenerator | None, training: bool) -> Tensor | None:
    """Return a seed for a batch, ``(2,)`` of uint32; None where no noise is drawn."""
    drawn = builder.stochastic is True or (builder.stochastic and training)
    return tf.cast(seeds.next(), tf.uint32) if drawn and seeds is not None else None
