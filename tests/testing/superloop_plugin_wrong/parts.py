"""Systems and cells that are wrong, each in one way."""

import os
import sys
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from superloop_core import System, TraceView, draw_normal, draw_uniform


class EchoState(NamedTuple):
    memory: Any  # (batch, width)


class Echo(System):
    """Answers with what it is told and a part of what it answered before; this one is right."""

    def initial_state(self, sequence):
        return EchoState(ops.zeros((sequence.batch_size, self.config.width), dtype=self.variable_dtype))

    def step(self, control, state, constants):
        answer = self.answer(control, state, constants)
        return answer, EchoState(answer), {}

    def answer(self, control, state, constants):
        return ops.tanh(control) + state.memory / 2


class PointerState(NamedTuple):
    memory: Any  # (batch, width)
    pointer: Any  # (batch,) of int32


class RightNoisy(Echo):
    """Right: noise in each step, an integer state, a layer of its own, a loss."""

    stochastic = True

    def build(self, input_size):
        self.mix = keras.layers.Dense(self.config.width, activation="tanh")
        self.mix.build((None, input_size))

    def initial_state(self, sequence):
        return PointerState(*super().initial_state(sequence), ops.zeros(sequence.batch_size, dtype="int32"))

    def step(self, control, state, constants):
        noisy = self.mix(control) + draw_normal((self.config.width,), self.variable_dtype) * state.memory / 4
        gumbel = -ops.log(-ops.log(draw_uniform((self.config.width,), self.variable_dtype)))
        pointer = ops.argmax(control + gumbel, axis=1)
        kept = state.memory * (1 + ops.one_hot(state.pointer, self.config.width, dtype=control.dtype)) / 4
        losses = {"losses.size": ops.sum(ops.square(noisy), axis=1)}
        return noisy + kept, PointerState(noisy + kept, ops.cast(pointer, "int32")), losses


class RightInTraining(Echo):
    """Right: noise, dropout and a moving mean, in training only."""

    stochastic = "training"

    def build(self, input_size):
        self.drop = keras.layers.Dropout(0.5, seed=3)
        self.normalize = keras.layers.BatchNormalization()
        self.normalize.build((None, input_size))

    def constants(self, sequence):
        return sequence.training

    def answer(self, control, state, constants):
        answer = self.normalize(control, training=constants) + self.drop(state.memory, training=constants) / 2
        return answer + draw_normal((self.config.width,)) if constants else answer


class RightReader(Echo):
    """Right: two sources that share an axis, integers, an optional source, and an embedding."""

    def build(self, input_size):
        self.embedded = self.add_weight(shape=(4, self.config.width), name="embedded")

    def constants(self, sequence):
        read, masks = sequence.sources, sequence.masks
        valid = masks.get("keys", ops.ones_like(read["keys"][:, :, 0], dtype="bool"))
        values = tf.gather(self.embedded, read["values"])  # (batch, items, width)
        hint = read.get("hint", ops.zeros_like(read["keys"][:, 0]))
        return read["keys"], values, valid, hint

    def answer(self, control, state, constants):
        keys, values, valid, hint = constants
        scores = ops.where(valid, ops.einsum("bw,biw->bi", control + hint, keys), -1e9)
        weights = ops.softmax(scores, axis=1) * ops.cast(valid, control.dtype)
        return ops.einsum("bi,biw->bw", weights, values) + ops.tanh(control) + state.memory / 2


class RightWave(Echo):
    """Right: a complex state, and a loop with a bound in the step."""

    def initial_state(self, sequence):
        dtype = "complex128" if self.variable_dtype == "float64" else "complex64"
        return EchoState(tf.zeros((sequence.batch_size, self.config.width), dtype))

    def step(self, control, state, constants):
        _, squashed = ops.while_loop(
            lambda i, x: i < 2, lambda i, x: (i + 1, ops.tanh(x)), (0, control), maximum_iterations=2
        )
        turned = state.memory * tf.cast(tf.complex(0.5, 0.5), state.memory.dtype)
        memory = turned + tf.complex(squashed, control / 2)
        return tf.math.real(memory) + tf.math.imag(memory) ** 2, EchoState(memory), {}


class RightSilent(Echo):
    """Right: neither a state nor an output, and not for XLA."""

    supports_jit = False

    def initial_state(self, sequence):
        return ()

    def step(self, control, state, constants):
        squashed = tf.ensure_shape(tf.numpy_function(np.tanh, [control], control.dtype), control.shape)
        squashed = control + ops.stop_gradient(squashed - control)
        losses = {"losses.size": ops.mean(ops.square(control), axis=1)}
        return control[:, :0], (), losses | {"squashed": squashed}


class Wide(Echo):
    def step(self, control, state, constants):
        answer = self.answer(control, state, constants)
        return ops.concatenate([answer, answer[:, :1]], axis=1), EchoState(answer), {}


class Growing(Echo):
    def answer(self, control, state, constants):
        return super().answer(control, state, constants) + self.add_weight(shape=(self.config.width,))


class Counting(Echo):
    def __init__(self, config):
        super().__init__(config)
        self.count = 0

    def answer(self, control, state, constants):
        self.count += 1
        return super().answer(control, state, constants) / self.count


class Remembering(Echo):
    last = None  # the class's, which that of an instance hides

    def answer(self, control, state, constants):
        self.last = super().answer(control, state, constants)
        return self.last


class DoubledInGraph(RightInTraining):
    """In a graph its gradient is twice what it is."""

    def answer(self, control, state, constants):
        answer = super().answer(control, state, constants)
        return answer if tf.executing_eagerly() else 2 * answer - tf.stop_gradient(answer)


class Noisy(Echo):
    def answer(self, control, state, constants):
        return super().answer(control, state, constants) + keras.random.normal(ops.shape(control))


class Widening(Echo):
    def step(self, control, state, constants):
        answer = self.answer(control, state, constants)
        return answer, EchoState(ops.concatenate([state.memory, answer], axis=1)), {}

    def answer(self, control, state, constants):
        return ops.tanh(control) + state.memory[:, :3] / 2


class Late(Echo):
    def step(self, control, state, constants):
        return state.memory, EchoState(ops.tanh(control)), {}


class Deaf(Echo):
    def answer(self, control, state, constants):
        return ops.zeros_like(control) + state.memory / 2


class Averaging(Echo):
    def answer(self, control, state, constants):
        return ops.tanh(control - ops.mean(control, axis=0)) + state.memory / 2


class Squeezed(Echo):
    def answer(self, control, state, constants):
        return ops.squeeze(super().answer(control, state, constants)[:, None])


class Sharing(Echo):
    scale = None

    def build(self, input_size):
        if Sharing.scale is None:
            Sharing.scale = self.add_weight(shape=(self.config.width,))
        else:
            self.shared = Sharing.scale

    def answer(self, control, state, constants):
        return ops.tanh(control) * Sharing.scale + state.memory / 2


class WithLambda(Echo):
    def __init__(self, config):
        super().__init__(config)
        self.squash = keras.layers.Lambda(ops.tanh)

    def answer(self, control, state, constants):
        return self.squash(control) + state.memory / 2


class PartlyStopped(Echo):
    def answer(self, control, state, constants):
        heard = ops.concatenate([control[:, :2], ops.stop_gradient(control[:, 2:])], axis=1)
        return ops.tanh(heard) + state.memory / 2


@tf.custom_gradient
def doubled(x):
    return tf.tanh(x), lambda slope: 2 * slope * (1 - tf.tanh(x) ** 2)


class Misnamed(Echo):
    trace_views: ClassVar = {"memry": TraceView("vector", "number")}


class MisShaped(Echo):
    trace_views: ClassVar = {"memory": TraceView("slots", "slot", "number")}


class Doubled(Echo):
    def answer(self, control, state, constants):
        return doubled(control) + state.memory / 2


class ByPython(Echo):
    def answer(self, control, state, constants):
        squashed = tf.numpy_function(np.tanh, [control], control.dtype)
        squashed = control + ops.stop_gradient(tf.ensure_shape(squashed, control.shape) - control)
        return squashed + state.memory / 2


class ByTimesteps(Echo):
    def constants(self, sequence):
        return ops.cast(sequence.timesteps, self.variable_dtype)

    def answer(self, control, state, constants):
        return super().answer(control, state, constants) / constants


class Unmasked(Echo):
    def answer(self, control, state, constants):
        return super().answer(control, state, constants) + ops.mean(constants["book"], axis=1)


class Averaged(Echo):
    def constants(self, sequence):
        book = sequence.sources["book"]
        valid = ops.cast(sequence.masks.get("book", ops.ones_like(book[:, :, 0])), book.dtype)
        return ops.sum(book, axis=1) / ops.sum(valid, axis=1, keepdims=True)

    def answer(self, control, state, constants):
        return super().answer(control, state, constants) + constants


class Restarting(Echo):
    def constants(self, sequence):
        self.begun = False
        return super().constants(sequence)

    def answer(self, control, state, constants):
        scale = 1.0 if self.begun else 2.0
        self.begun = True
        return scale * ops.tanh(control) + state.memory / 2


class Narrow(Echo):
    def initial_state(self, sequence):
        return EchoState(ops.cast(super().initial_state(sequence).memory, sequence.dtype))  # the cells' dtype

    def answer(self, control, state, constants):
        return ops.cast(ops.tanh(control), state.memory.dtype) + state.memory / 2


class Exploding(Echo):
    def answer(self, control, state, constants):
        return ops.tanh(control) + 2 * state.memory


class Saturating(Echo):
    def answer(self, control, state, constants):
        return ops.log(1 - ops.sigmoid(control)) + state.memory / 2


class Once(Echo):
    stochastic = True

    def constants(self, sequence):
        return draw_normal((self.config.width,), self.variable_dtype)

    def answer(self, control, state, constants):
        return super().answer(control, state, constants) + constants


class InBuild(Echo):
    stochastic = True

    def build(self, input_size):
        self.drawn = self.add_weight(shape=(self.config.width,), trainable=False, initializer="normal")

    def answer(self, control, state, constants):
        return super().answer(control, state, constants) + self.drawn


class ByShard(Echo):
    def answer(self, control, state, constants):
        drawn = tf.random.stateless_normal(tf.shape(control), (1, 2), dtype=control.dtype)
        return super().answer(control, state, constants) + drawn


class Drawing(Echo):
    def answer(self, control, state, constants):
        drawn = tf.random.normal(tf.shape(control), dtype=control.dtype)
        return super().answer(control, state, constants) + drawn


class Assigning(Echo):
    def __init__(self, config):
        super().__init__(config)
        self.count = tf.Variable(0.0, trainable=False)

    def answer(self, control, state, constants):
        self.count.assign_add(1.0)
        return super().answer(control, state, constants)


class Seen(Echo):
    def build(self, input_size):
        self.seen = self.add_weight(shape=(), trainable=False, name="seen")


class AssigningOnce(Seen):
    def constants(self, sequence):
        self.begun = False
        return super().constants(sequence)

    def answer(self, control, state, constants):
        if not self.begun:
            self.seen.assign(self.seen + 1)
        self.begun = True
        return super().answer(control, state, constants)


class AlwaysAssigning(Seen):
    def answer(self, control, state, constants):
        self.seen.assign(self.seen + 1)
        return super().answer(control, state, constants)


class LossOfBatch(Echo):
    def step(self, control, state, constants):
        answer, state, _ = super().step(control, state, constants)
        return answer, state, {"losses.size": ops.mean(ops.square(answer)) * ops.ones_like(answer[:, 0])}


class BareLoss(Echo):
    def step(self, control, state, constants):
        answer, state, _ = super().step(control, state, constants)
        return answer, state, {"losses.size": ops.square(answer)}


@tf.custom_gradient
def turned(x):
    by = tf.complex(tf.constant(0.3, x.dtype.real_dtype), tf.constant(0.4, x.dtype.real_dtype))
    return x * by, lambda slope: slope * by  # of the conjugate


class Conjugated(RightWave):
    def step(self, control, state, constants):
        memory = turned(state.memory) + tf.complex(ops.tanh(control), control / 2)
        return tf.math.real(memory) + tf.math.imag(memory), EchoState(memory), {}


class Requiring(RightReader):
    def constants(self, sequence):
        return *super().constants(sequence)[:3], sequence.sources["hint"]


class AsFloats(RightReader):
    @property
    def sources(self):
        return {name: tuple(shape) for name, shape in super().sources.items()}


class HalfLayer(Echo):
    def __init__(self, config):
        super().__init__(config)
        self.mix = keras.layers.Dense(config.width, dtype="mixed_float16")

    def build(self, input_size):
        self.mix.build((None, input_size))

    def answer(self, control, state, constants):
        return ops.tanh(ops.cast(self.mix(control), control.dtype)) + state.memory / 2


class Unbounded(Echo):
    def answer(self, control, state, constants):
        _, squashed = ops.while_loop(lambda i, x: i < 2, lambda i, x: (i + 1, ops.tanh(x)), (0, control))
        return squashed + state.memory / 2


class Fragile(Echo):
    def initial_state(self, sequence):
        if self.config.width > 4:
            raise ZeroDivisionError("too wide")
        return super().initial_state(sequence)


class Chatty(Echo):
    def answer(self, control, state, constants):
        raise ValueError("\n".join(f"line {number} of what went wrong" for number in range(50)))


DRAWN = float(np.random.default_rng().uniform(1, 9))


class OfThisProcess(Echo):
    def answer(self, control, state, constants):
        return DRAWN * ops.tanh(control) + state.memory / 2


class Dying(Echo):
    def answer(self, control, state, constants):
        if Path(getattr(sys.modules["__main__"], "__file__", "")).name == "fresh.py":
            print("out of luck", file=sys.stderr, flush=True)
            os._exit(3)
        return super().answer(control, state, constants)


def RightCell(config):  # noqa: N802, beside the classes
    return keras.layers.SimpleRNNCell(config.units)


class _DeafCell(keras.layers.Layer):
    def __init__(self, units):
        super().__init__()
        self.state_size = self.output_size = units

    def call(self, inputs, states, training=False):
        del inputs, training
        return states[0] + 0.1, [states[0] / 2 + 0.1]

    def get_initial_state(self, batch_size=None):
        return [ops.zeros((batch_size, self.state_size))]


def DeafCell(config):  # noqa: N802
    return _DeafCell(config.units)
