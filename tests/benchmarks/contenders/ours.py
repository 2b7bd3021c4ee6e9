"""superloop_core, and Keras's own LSTM."""

import statistics
import time

import keras
import numpy as np
from timing import CLOCK, run, timed

import superloop_core


def fitted(build, inputs, targets, optimizer, prepared=False, **compiled):
    """Time building, training and predicting; ``prepared``: the optimizer's variables are made before."""
    began = CLOCK()
    model = build()
    model.compile(optimizer, "mse", **compiled)
    if prepared:
        model.optimizer.build(model.trainable_variables)
    figures = {"build": CLOCK() - began}
    return figures | timed(
        train=lambda: model.train_on_batch(inputs, targets), predict=lambda: model.predict_on_batch(inputs)
    )


def original_example(timesteps=64, batch=1024, prepared=False, **compiled):
    """The original's README example: 32 SGU layers of 16 units, attention over 16 x 1, RMSprop."""
    config = {
        "timesteps": timesteps,
        "model_inputs": 2,
        "model_outputs": 0,
        "recurrent_model": "SGU",
        "recurrent_layers": 32,
        "recurrent_units": 16,
        "superloop_models": ["Attention"],
        "Attention": {"datapoints": 16, "outputs": 1},
    }
    rng = np.random.default_rng(0)
    inputs = [
        np.zeros((batch, timesteps, 2), "float32"),
        rng.integers(0, 5, (batch, 16, 1)).astype("float32"),
    ]
    targets = rng.integers(0, 15, (batch, 1)).astype("float32")

    def build():
        loop = superloop_core.Model(config)
        fed, _ = loop.build_all()
        system = loop.superloop_models[0]
        return keras.Model([fed, system.data], system.position)

    return fitted(build, inputs, targets, keras.optimizers.RMSprop(4e-4), prepared, **compiled)


def stack_rnn(batch=128, timesteps=40, **compiled):
    """A simple RNN of 256 units with a stack of 30 cells of 8 numbers; 4 symbols in, 4 out; Adam."""
    rng = np.random.default_rng(0)
    inputs = np.eye(4, dtype="float32")[rng.integers(0, 4, (batch, timesteps))]
    loop = {
        "timesteps": timesteps,
        "inputs": 4,
        "outputs": 4,
        "outputs_read_systems": False,
        "cells": [{"use": "simple_rnn", "units": 256}],
        "systems": [{"use": "stack", "depth": 30, "width": 8}],
    }

    def build():
        layer = superloop_core.Superloop(loop)
        symbolic = layer.symbolic_inputs()
        return keras.Model(symbolic, layer(symbolic))

    return fitted(build, inputs, inputs, keras.optimizers.Adam(1e-3), **compiled)


def memory(batch, cell, system, timesteps=40, **options):
    """One cell and one system, or none; 8 numbers in at each timestep, and as many out; Adam."""
    rng = np.random.default_rng(0)
    inputs = np.eye(8, dtype="float32")[rng.integers(0, 8, (batch, timesteps))]
    systems = [system] if system else []
    loop = {"timesteps": timesteps, "inputs": 8, "outputs": 8, "cells": [cell], "systems": systems}

    def build():
        layer = superloop_core.Superloop(loop, **options)
        symbolic = layer.symbolic_inputs()
        return keras.Model(symbolic, layer(symbolic))

    return fitted(build, inputs, inputs, keras.optimizers.Adam(1e-3))


def _lstm_data(batch):
    rng = np.random.default_rng(0)
    shapes = (batch, 64, 32), (batch, 128)
    return [rng.normal(size=shape).astype("float32") for shape in shapes]


def lstm(batch):
    """An LSTM of 128 units over 64 timesteps of 32 numbers, as a loop without a system."""
    loop = {"timesteps": 64, "inputs": 32, "cells": [{"use": "lstm", "units": 128}]}

    def build():
        layer = superloop_core.Superloop(loop, return_sequences=False)
        symbolic = layer.symbolic_inputs()
        return keras.Model(symbolic, layer(symbolic))

    return fitted(build, *_lstm_data(batch), "adam")


def keras_lstm(batch, unroll=False, **compiled):
    """The same as keras.layers.LSTM."""

    def build():
        symbolic = keras.Input((64, 32))
        return keras.Model(symbolic, keras.layers.LSTM(128, unroll=unroll)(symbolic))

    return fitted(build, *_lstm_data(batch), "adam", **compiled)


def epochs(cell=None, system=None, rows=650, validation=130, batch=64, timesteps=40, **options):
    """Epochs of ``fit`` with small last batches, in seconds, and of all cores; no cell: Keras's LSTM."""
    rng = np.random.default_rng(0)
    inputs, targets = (rng.normal(size=(rows, timesteps, 8)).astype("float32") for _ in range(2))
    symbolic = keras.Input((timesteps, 8))
    if cell is None:
        hidden = keras.layers.LSTM(100, return_sequences=True)(symbolic)
        model = keras.Model(symbolic, keras.layers.Dense(8)(hidden))
    else:
        loop = {"timesteps": timesteps, "inputs": 8, "outputs": 8, "cells": [cell]}
        loop["systems"] = [system] if system else []
        model = keras.Model(symbolic, superloop_core.Superloop(loop, **options)(symbolic))
    model.compile("adam", "mse")
    held_out = inputs[:validation], targets[:validation]
    figures = {"epoch": [], "cores": []}
    for _ in range(6):
        began = time.perf_counter(), time.process_time()
        model.fit(inputs, targets, batch_size=batch, validation_data=held_out, verbose=0)
        figures["epoch"].append(time.perf_counter() - began[0])
        figures["cores"].append(time.process_time() - began[1])
    first = {f"first {name}": times[0] for name, times in figures.items()}
    return first | {name: statistics.median(times[1:]) for name, times in figures.items()}


if __name__ == "__main__":
    run({f.__name__: f for f in (original_example, stack_rnn, memory, lstm, keras_lstm, epochs)})
