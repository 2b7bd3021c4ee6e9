"""Fixtures: recorded numbers, and systems that compute in float64."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from superloop_core import Sequence
from superloop_core.builder import dtype_policy
from superloop_core.registry import load_registry

FOLDER = Path(__file__).parent / "recordings"


@pytest.fixture(scope="session")
def recorded():
    """Reads the arrays of a recorded case, by kind and name: ``out/o``."""

    def recorded(name, case):
        with np.load(FOLDER / f"{name}.npz") as arrays:
            return {key.removeprefix(f"{case}/"): arrays[key] for key in arrays if key.startswith(f"{case}/")}

    return recorded


@pytest.fixture(scope="session")
def make():
    """Makes a system by name that computes in float64, with its weights."""

    def make(name, **settings):
        spec = load_registry().resolve("system", name).spec
        with dtype_policy("float64"):
            system = spec.create(spec.config(**settings))
        system.build(1)
        return system

    return make


@pytest.fixture(scope="session")
def run():
    """Steps a system through controls ``(timesteps, batch, control)``; returns reads and states."""

    def run(system, controls, state=None):
        rows = controls.shape[1]
        sequence = Sequence(batch_size=rows, timesteps=None, lengths=None, dtype="float64")
        state, reads, states = state or system.initial_state(sequence), [], []
        for control in controls:
            read, state, _ = system.step(tf.convert_to_tensor(control, tf.float64), state, {})
            reads.append(read)
            states.append(state)
        return tf.stack(reads), states

    return run
