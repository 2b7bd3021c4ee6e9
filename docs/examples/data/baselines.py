"""Measure a linear model and a plain LSTM of Keras on the examples of a config, in the same splits.

python baselines.py digits.toml
"""

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
from superloop_plugin_lab.experiment import read_experiment

from superloop_core import StoredTask

STEPS = 1500


def whole(task: StoredTask, split: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the inputs, lengths and targets of a split, padded to the longest."""
    (batch,) = task.batches(split, 10**9)
    inputs = batch.inputs["inputs"]
    if inputs.ndim == 2:
        inputs = np.eye(task.sizes.tokens, dtype="float32")[inputs]
    return inputs, batch.inputs["lengths"], batch.targets


def model_of(task: StoredTask, kind: str, per_timestep: bool, units: int, lags: int = 8) -> keras.Model:
    """Make a model: ``linear`` in the last timesteps, or of the whole of a short sequence; or ``lstm``."""
    inputs = keras.Input((None, task.sizes.tokens or task.sizes.inputs))
    if kind == "lstm":
        x = keras.layers.LSTM(units, return_sequences=True)(inputs)
        x = keras.layers.Dense(task.sizes.outputs)(x)
    else:
        x = keras.layers.Conv1D(task.sizes.outputs, lags, padding="causal")(inputs)
    return keras.Model(inputs, x if per_timestep else x[:, -1])


def main(config: str) -> None:
    """Print the test figures of both."""
    experiment = read_experiment(Path(config))
    task: Any = experiment.task
    train, validation, test = (whole(task, split) for split in ("train", "validation", "test"))
    per_timestep = train[2].ndim > 1 and train[2].shape[1:2] == train[0].shape[1:2]
    units = experiment.config.loop.cells[0].settings.units
    for kind in ("linear", "lstm"):
        keras.utils.set_random_seed(0)
        model = model_of(task, kind, per_timestep, units)
        model.compile(
            keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, STEPS)),
            lambda targets, outputs: task.loss(
                targets, {"outputs": outputs if per_timestep else outputs[:, None]}
            ),
        )
        size = experiment.settings.batch_size
        epochs = max(1, STEPS * size // len(train[0]))
        best = keras.callbacks.ModelCheckpoint("best.weights.h5", save_best_only=True, save_weights_only=True)
        model.fit(
            train[0],
            train[2],
            size,
            epochs,
            verbose=0,
            callbacks=[best],
            validation_data=(validation[0], validation[2]),
        )
        model.load_weights("best.weights.h5")
        outputs = model.predict(test[0], verbose=0)
        results = {"outputs": outputs if per_timestep else outputs[:, None]}
        loss, correct = float(task.loss(test[2], results)), np.mean(task.correct(test[2], results))
        print(f"{kind:8}{model.count_params():>8,} weights  loss {loss:.4g}  accuracy {correct:.2%}")
    Path("best.weights.h5").unlink()


if __name__ == "__main__":
    main(sys.argv[1])
