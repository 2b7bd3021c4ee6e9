"""Tests of the presets: recorded answers and gradients of their papers' code, and what only they can do."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from superloop_plugin_kv.key_value import KeyValue, KeyValueState
from superloop_plugin_kv.operations import GATE_BIAS

from superloop_core import Sequence, Superloop
from superloop_core.builder import dtype_policy
from superloop_core.registry import load_registry

FOLDER = Path(__file__).parent / "recordings"
RECORDED = {
    "deltanet/beta01": {},
    "deltanet/beta02": {"max_strength": 2.0},
    "deltanet/beta01_start": {},
    "gated_deltanet/plain": {},
    "gated_deltanet/scaled_start": {},
    "kda/plain": {},
    "kda/scaled_start": {},
    "deltaproduct/two": {"max_strength": 2.0},
    "deltaproduct/three_gated": {"max_strength": 2.0, "writes": 3, "gate": "scalar"},
}
SURE = 100.0


def preset(name, **settings):
    """Return a preset that computes in float64."""
    spec = load_registry().resolve("system", name).spec
    with dtype_policy("float64"):
        return spec.create(spec.config(**settings))


def logit(share):
    return tf.math.log(share) - tf.math.log(1 - share)


def control_of(config, inputs):
    """Return the control ``(batch, timesteps, control_size)`` whose activations are recorded inputs."""
    parts = [logit(inputs["beta"] / config.max_strength), inputs["k"], inputs["q"], inputs["v"]]
    parts += [logit(inputs["alpha"]) - GATE_BIAS] if "alpha" in inputs else []
    return tf.concat([tf.reshape(part, (*inputs["q"].shape[:2], -1)) for part in parts], axis=-1)


def along_the_sphere(slopes, x):
    """Return slopes by x as those by what x / |x| was made of, times |x|."""
    unit = x / np.linalg.norm(x, axis=-1, keepdims=True)
    return slopes - np.sum(slopes * unit, axis=-1, keepdims=True) * unit


@pytest.mark.parametrize("place", RECORDED)
def test_reads_memories_and_gradients_are_the_recorded_ones(place):
    name, case = place.split("/")
    with np.load(FOLDER / f"{name}.npz") as arrays:
        recorded = {key.removeprefix(f"{case}/"): arrays[key] for key in arrays if key.startswith(f"{case}/")}
    inputs = {key[3:]: tf.constant(array) for key, array in recorded.items() if key.startswith("in/")}
    batch, timesteps, key_size = inputs["q"].shape
    width = inputs["v"].shape[-1]
    system = preset(name, feature_map="linear", key_size=key_size, width=width, **RECORDED[place])
    start = tf.constant(recorded.get("par/S0", np.zeros((batch, key_size, width))))
    length = np.linalg.norm(
        inputs["q"], axis=-1, keepdims=True
    )  # of the queries, which the system divides by
    reads, memories = [], []
    with tf.GradientTape() as tape:
        tape.watch([inputs, start])
        control = control_of(system.config, inputs)
        state = KeyValueState(tf.transpose(start, (0, 2, 1))[:, None])
        for t in range(timesteps):
            read, state, _ = system.step(control[:, t], state, {})
            reads.append(read)
            memories.append(tf.transpose(state.memory[:, 0], (0, 2, 1)))
        output = tf.stack(reads, axis=1) * length * recorded.get("par/scale", 1.0)
        loss = tf.reduce_sum(output * recorded["G/o"])
    np.testing.assert_allclose(output, recorded["out/o"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(memories[-1], recorded["final/S"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(np.stack(memories[:4], axis=1), recorded["trace/S"], rtol=0, atol=1e-9)
    for name, slopes in tape.gradient(loss, inputs | {"S0": start}).items():
        if f"grad/{name}" in recorded:  # without a recorded start it has no gradient there
            expected = recorded[f"grad/{name}"]
            expected = along_the_sphere(expected, inputs[name]) if name in "qk" else expected
            np.testing.assert_allclose(slopes, expected, rtol=0, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("name", ["deltanet", "gated_deltanet", "kda", "deltaproduct"])
def test_a_preset_is_key_value_with_other_settings(name):
    system = preset(name, key_size=3, width=2, heads=2)
    names = ("gate", "writes", "max_strength", "feature_map")
    settings = {setting: getattr(system.config, setting) for setting in names}
    plain = preset("key_value", key_size=3, width=2, heads=2, **settings)
    controls = tf.constant(np.random.default_rng(0).normal(size=(4, 5, system.control_size)))
    sequence = Sequence(batch_size=5, timesteps=None, lengths=None, dtype="float64")
    states = [one.initial_state(sequence) for one in (system, plain)]
    for control in controls:
        (read, *mine), (expected, *theirs) = (
            system.step(control, states[0], {}),
            plain.step(control, states[1], {}),
        )
        np.testing.assert_array_equal(read, expected)
        states = [mine[0], theirs[0]]


def test_a_class_and_an_object_are_saved_by_their_own_names():
    loop = {"inputs": 2, "cells": [{"use": "dense", "units": 3}]}
    for given, name in ((KeyValue, "key_value"), (preset("key_value"), "key_value"), (preset("kda"), "kda")):
        made = Superloop(loop | {"systems": [{"use": given, "id": "facts"}]}, dtype="float64")
        (saved,) = made.config.to_dict()["systems"]
        assert saved["use"] == f"superloop-plugin-kv:{name}"


def run(system, controls, memory):
    """Return the memory of one head and one row after controls ``(timesteps, control)``."""
    state = KeyValueState(tf.constant(memory, tf.float64)[None, None])
    for control in controls:
        _, state, _ = system.step(tf.constant([control], tf.float64), state, {})
    return state.memory[0, 0].numpy()


def test_a_memory_of_negative_eigenvalues_holds_a_parity():
    """A write of strength 2, with the value 0, changes the sign of what is under its key."""
    system = preset("deltanet", key_size=2, width=1, max_strength=2.0, feature_map="linear")
    one, zero = [SURE, 1, 0, 1, 0, 0], [-SURE, 1, 0, 1, 0, 0]
    for bits in ([1], [1, 0, 1], [1, 1, 0, 1], [0, 0]):
        memory = run(system, [one if bit else zero for bit in bits], [[1, 0]])
        np.testing.assert_allclose(memory, [[(-1) ** sum(bits), 0]], atol=1e-9)


def test_two_writes_in_a_timestep_are_a_cycle_of_three():
    """Each write of strength 2 under a difference of two unit vectors exchanges two columns."""
    system = preset("deltaproduct", key_size=3, width=1, max_strength=2.0, feature_map="linear")
    control = [SURE, SURE, 1, -1, 0, 0, 1, -1, 1, 1, 1, 0, 0]
    memories = [run(system, [control] * count, [[1, 2, 3]])[0] for count in range(4)]
    np.testing.assert_allclose(memories, [[1, 2, 3], [2, 3, 1], [3, 1, 2], [1, 2, 3]], atol=1e-9)


def test_a_channel_forgets_by_itself():
    system = preset("kda", key_size=2, width=1)
    keep, forget = SURE, -SURE
    control = [-SURE, 1, 0, 1, 0, 9, keep, forget]
    np.testing.assert_allclose(run(system, [control], [[5, 7]]), [[5, 0]], atol=1e-9)


def test_a_gate_of_zero_keeps_98_percent_and_is_traced_with_the_decay():
    system = preset("gated_deltanet", key_size=2, width=1, heads=2, decay=0.5)
    control = np.zeros((1, system.control_size))
    state = KeyValueState(tf.ones((1, 2, 1, 2), tf.float64))
    _, _, traces = system.step(tf.constant(control), state, {})
    np.testing.assert_allclose(traces["decay"], np.full((1, 2, 1), 0.5 / (1 + np.exp(-4))))
